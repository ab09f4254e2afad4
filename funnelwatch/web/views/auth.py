"""Log-in and the way to a person's first page."""

from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from funnelwatch.projects import access
from funnelwatch.web import throttle


class Login(auth_views.LoginView):
    """Log-in; too many failures wait a quarter of an hour."""

    template_name = "web/login.html"
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if throttle.blocked(request.POST.get("username", ""), throttle.client_address(request)):
            response = render(request, self.template_name, {"form": AuthenticationForm(request), "blocked": True}, status=429)
            response.headers["Retry-After"] = str(int(throttle.WINDOW.total_seconds()))
            return response
        return super().post(request, *args, **kwargs)

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        throttle.note_failure(self.request.POST.get("username", ""), throttle.client_address(self.request))
        return super().form_invalid(form)


@login_required
def home(request: HttpRequest) -> HttpResponse:
    """`/`: on to the first of the person's shops."""
    project = access.projects_of(request.user).first()
    if project is None:
        return render(request, "web/no_project.html")
    return redirect("overview", slug=project.name)
