"""What shoppers hold in their hands: devices, systems and browsers with their real user-agent strings."""

from typing import NamedTuple


class Agent(NamedTuple):
    """One browser build. The labels are the families a user-agent parser should find in `user_agent`."""

    device: str
    os: str
    os_version: str
    browser: str
    browser_version: str
    user_agent: str


_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS {os} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) {app}"
_BLINK = "Mozilla/5.0 ({platform}) AppleWebKit/537.36 (KHTML, like Gecko) {app}"
_WINDOWS = "Windows NT 10.0; Win64; x64"
_MAC = "Macintosh; Intel Mac OS X 10_15_7"
_ANDROID = "Linux; Android 10; K"  # all that Chromium tells since it reduced the user agent


def _iphone(version: str, app: str, browser: str, browser_version: str) -> Agent:
    user_agent = _IPHONE.format(os=version.replace(".", "_"), app=app)
    return Agent("mobile", "iOS", version, browser, browser_version, user_agent)


def _safari_ios(version: str) -> Agent:
    return _iphone(version, f"Version/{version} Mobile/15E148 Safari/604.1", "Safari", version)


def _blink(device: str, os: str, os_version: str, platform: str, app: str, browser: str, version: int) -> Agent:
    return Agent(device, os, os_version, browser, f"{version}.0.0.0", _BLINK.format(platform=platform, app=app))


def _chrome_android(version: int) -> Agent:
    app = f"Chrome/{version}.0.0.0 Mobile Safari/537.36"
    return _blink("mobile", "Android", "10", _ANDROID, app, "Chrome", version)


def _chrome_desktop(os: str, os_version: str, platform: str, version: int) -> Agent:
    return _blink("desktop", os, os_version, platform, f"Chrome/{version}.0.0.0 Safari/537.36", "Chrome", version)


#: Names by which audiences and faults refer to builds.
AGENTS: dict[str, Agent] = {
    "ios18_safari": _safari_ios("18.6"),
    "ios26_safari": _safari_ios("26.0"),
    "ios17_safari": _safari_ios("17.6"),
    "ios_chrome": _iphone("18.6", "CriOS/140.0.7339.101 Mobile/15E148 Safari/604.1", "Chrome", "140.0.7339.101"),
    "ios_instagram": _iphone(
        "18.6", "Mobile/22G86 Instagram 397.0.0.26.81 (iPhone15,2; iOS 18_6; en_IN; en; scale=3.00; 1179x2556)",
        "Instagram", "397.0.0.26.81",
    ),
    "android_chrome": _chrome_android(140),
    "android_chrome_old": _chrome_android(136),
    "android_samsung": _blink(
        "mobile", "Android", "10", _ANDROID, "SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
        "Samsung Internet", 28,
    )._replace(browser_version="28.0"),
    "android_tablet": _blink("tablet", "Android", "10", _ANDROID, "Chrome/140.0.0.0 Safari/537.36", "Chrome", 140),
    "windows_chrome": _chrome_desktop("Windows", "10", _WINDOWS, 140),
    "mac_chrome": _chrome_desktop("Mac OS X", "10.15.7", _MAC, 140),
    "windows_edge": _blink(
        "desktop", "Windows", "10", _WINDOWS, "Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0", "Edge", 140
    ),
    "mac_safari": Agent(
        "desktop", "Mac OS X", "10.15.7", "Safari", "18.6",
        f"Mozilla/5.0 ({_MAC}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
    ),
    "windows_firefox": Agent(
        "desktop", "Windows", "10", "Firefox", "143.0",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0",
    ),
    "googlebot": Agent(
        "bot", "other", "", "Googlebot", "2.1",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    ),
    "ahrefsbot": Agent(
        "bot", "other", "", "AhrefsBot", "7.0", "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)"
    ),
}  # fmt: skip

AGENT_NAMES = tuple(AGENTS)
AGENT_LIST = tuple(AGENTS.values())
