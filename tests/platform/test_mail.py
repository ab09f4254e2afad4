"""Alert e-mails through a real mail server, set up by environment variables alone."""

import json
from pathlib import Path

import pytest

from tests.platform.mail_server import mail_server
from tests.platform.processes import python, run

PASSWORD = "correct horse battery staple"

#: What the button "Send test" does.
SEND = """
import logging
from funnelwatch.alert.channel import DeliveryError
from funnelwatch.projects.models import Channel, Organisation, Project
from funnelwatch.web import trial
from funnelwatch.web.preparation import prepare_database
prepare_database()
project = Project.objects.create(organisation=Organisation.objects.create(name="o"), name="shop", title="Shop")
channel = Channel.objects.create(project=project, kind="email", name="ops", config={"to": ["a@example.com", "b@example.com"]})
try:
    trial.send(channel, "http://localhost/")
except DeliveryError as error:
    print("refused:", error, error.permanent)
"""


def test_a_message_goes_out_with_the_login_and_sender_of_the_environment_and_the_password_stays_out_of_the_log(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    with mail_server("ops", PASSWORD) as box:
        given = {
            "FUNNELWATCH_EMAIL_HOST": "localhost", "FUNNELWATCH_EMAIL_PORT": str(box.port), "FUNNELWATCH_EMAIL_USER": "ops",
            "FUNNELWATCH_EMAIL_PASSWORD_FILE": str(secret), "FUNNELWATCH_EMAIL_FROM": "Watch <watch@example.com>",
        }  # fmt: skip
        data = tmp_path / "var"
        said = python("import sys; sys.stderr = sys.stdout\n" + SEND, data, FUNNELWATCH_LOG_LEVEL="DEBUG", **given)
        assert f"mail server: localhost:{box.port} takes mail" in run("doctor", data=data, **given).stderr
    ((sender, receivers, text),) = box.mails
    assert sender.startswith("FROM:<watch@example.com>")
    assert [one[: one.index(">") + 1] for one in receivers] == ["TO:<a@example.com>", "TO:<b@example.com>"]
    assert "From: Watch <watch@example.com>" in text
    assert "this channel works" in text
    assert PASSWORD not in said
    assert box.login not in said


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"FUNNELWATCH_EMAIL_PASSWORD": "wrong"}, "refused: the mail server answered 535 True"),
        ({"FUNNELWATCH_EMAIL_TLS": "starttls"}, "refused: the mail server cannot be reached: STARTTLS extension not supported by server. False"),
        # A server that is not this machine is asked for encryption unless the operator says otherwise.
        ({"FUNNELWATCH_EMAIL_HOST": "127.0.0.1"}, "refused: the mail server cannot be reached: STARTTLS extension not supported by server. False"),
    ],
    ids=["wrong password", "no encryption to be had", "not this machine"],
)
def test_a_refusal_says_why_without_the_password_and_without_encryption_none_is_sent(
    tmp_path: Path, settings: dict[str, str], says: str
) -> None:
    with mail_server("ops", PASSWORD) as box:
        given = {"FUNNELWATCH_EMAIL_PORT": str(box.port), "FUNNELWATCH_EMAIL_USER": "ops", "FUNNELWATCH_EMAIL_PASSWORD": PASSWORD}
        assert python(SEND, tmp_path, **(given | settings)).strip() == says
        doctor = json.loads(run("doctor", "--json", data=tmp_path, **(given | settings)).stdout)
    assert [check["name"] for check in doctor["checks"] if not check["ok"]] == ["mail server"]
    assert not box.mails
    assert box.login not in " ".join(box.said)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("FUNNELWATCH_EMAIL_TLS", "yes", "FUNNELWATCH_EMAIL_TLS must be starttls, tls or none, not 'yes'"),
        ("FUNNELWATCH_EMAIL_PORT", "smtp", "FUNNELWATCH_EMAIL_PORT must be a port number, not 'smtp'"),
    ],
)
def test_a_setting_that_cannot_be_is_named_at_start(tmp_path: Path, name: str, value: str, says: str) -> None:
    done = run("doctor", data=tmp_path, **{name: value})
    assert (done.returncode, done.stderr) == (1, f"Error: {says}\n")
