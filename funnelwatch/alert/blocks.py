"""The Slack message as Block Kit: headline, numbers and cause, facts, buttons, within Slack's limits."""

from typing import Any

from funnelwatch.alert.message import Message
from funnelwatch.core.format import THIN

_COLOURS = {"critical": "#D03B23", "high": "#D03B23", "medium": "#C67D0E", "low": "#8391AA"}
_RECOVERED = "#27925A"

#: Slack's documented limits, and the undocumented one: the text of all blocks together fails at about 13,200 characters.
HEADER, SECTION, FIELD, BUTTON, TOTAL = 150, 3000, 2000, 75, 13_000

Block = dict[str, Any]


def first_message(message: Message, buttons: bool) -> dict[str, Any]:
    """`text` and `attachments` of the message that stands for the incident. `buttons`: presses can reach us."""
    over = bool(message.ending)
    blocks = [
        {"type": "header", "text": _plain(message.headline, HEADER)},
        _section(_what(message)),
        *_evidence(message),
        _facts(message),
        {"type": "actions", "block_id": f"inc-{message.incident_id}", "elements": _actions(message, buttons, over)},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": clip(escape(message.footer), FIELD)}]},
    ]
    colour = _RECOVERED if over else _COLOURS[message.severity]
    return {
        "text": clip(escape(message.text), SECTION),
        "attachments": [{"color": colour, "blocks": _within_total(blocks)}],
    }


def reply(message: Message) -> dict[str, Any]:
    """`text` of the news that goes into the thread."""
    money = _money(message)
    news = {
        "opened": f"*It is back.* {escape(message.measure)}{money}",
        "escalated": f"*Now {message.severity}.* {escape(message.measure)}{money}",
        "acknowledged": f"*Acknowledged* by {escape(message.owner)}.",
        "resolved": f"*{message.ending or 'Resolved'}* {escape(message.story)}",
    }
    return {"text": clip(news[message.event], SECTION)}


def escape(text: str) -> str:
    """Slack's three control characters as entities; a number and its % sign kept together."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace(" %", f"{THIN}%")


def clip(text: str, limit: int) -> str:
    """At most `limit` characters, an ellipsis where cut; never in the middle of an entity or link."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    for opening, closing in (("&", ";"), ("<", ">")):
        start = cut.rfind(opening)
        if start > cut.rfind(closing):
            cut = cut[:start]
    return cut + "…"


def _what(message: Message) -> str:
    lines = [escape(message.measure) + _money(message)]
    if message.cause:
        detail = f", {escape(message.cause_detail)}" if message.cause_detail else ""
        link = f"<{_link(message.cause_url)}|{escape(message.cause).replace('|', '¦')}>"
        lines.append(f"*{escape(message.likelihood)}:* {link}{detail}.")
    else:
        lines.append("*Cause:* not known yet.")
    return "\n".join(lines)


def _money(message: Message) -> str:
    return f" *{escape(message.money)}.*" if message.money else ""


def _evidence(message: Message) -> list[Block]:
    lines = [f"• {escape(reason)}" for reason in message.evidence]
    if message.steps:
        lines.append(f"*Next:* <{_link(message.playbook_url)}|{escape(message.steps[0]).replace('|', '¦')}>")
    return [_section("\n".join(lines))] if lines else []


def _facts(message: Message) -> Block:
    facts = {"Severity": message.severity.capitalize(), "Owner": message.owner, "Since": message.since}
    if message.detectors:
        facts["Detectors"] = message.detectors
    fields = [{"type": "mrkdwn", "text": clip(f"*{name}*\n{escape(text)}", FIELD)} for name, text in facts.items()]
    return {"type": "section", "fields": fields}


def _actions(message: Message, buttons: bool, over: bool) -> list[Block]:
    number = str(message.incident_id)
    elements: list[Block] = []
    if buttons and message.status == "open":
        elements.append({**_button("ack", "Acknowledge"), "style": "primary", "value": number})
    elements.append({**_button("open", "Open incident"), "url": message.url})
    elements.append({**_button("playbook", "Playbook"), "url": message.playbook_url})
    if buttons and over:
        verdicts = (("real", "Real problem"), ("false_alarm", "False alarm"), ("expected", "Expected event"))
        elements += [{**_button(verdict, word), "value": number} for verdict, word in verdicts]
    elif buttons:
        choices = (("False alarm", "false_alarm"), ("Expected event", "expected"))
        options = [{"text": _plain(word, BUTTON), "value": f"{number}:{verdict}"} for word, verdict in choices]
        elements.append({"type": "overflow", "action_id": "more", "options": options})
    return elements


def _button(action: str, word: str) -> Block:
    return {"type": "button", "action_id": action, "text": _plain(word, BUTTON)}


def _section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": clip(text, SECTION)}}


def _plain(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": clip(text.replace(" %", f"{THIN}%"), limit)}


def _link(url: str) -> str:
    return url.replace("|", "%7C").replace(">", "%3E").replace("<", "%3C").replace("&", "&amp;")


def _within_total(blocks: list[Block]) -> list[Block]:
    """Leave out the facts, then the evidence, should the texts together be too long."""
    kept = list(blocks)
    while sum(map(_length, kept)) > TOTAL:
        spare = [block for block in kept[2:] if block["type"] == "section"]
        kept.remove(spare[-1])
    return kept


def _length(block: Any) -> int:
    if isinstance(block, dict):
        return sum(
            len(value) if key in ("text", "alt_text") and isinstance(value, str) else _length(value)
            for key, value in block.items()
        )
    return sum(map(_length, block)) if isinstance(block, list) else 0
