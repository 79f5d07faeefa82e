"""The header, the help and the table of models as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from mmdemo import catalog, folders, hub_rows, remote_rows
from mmdemo.catalog import ModelSpec
from mmdemo.errors import StudioError
from mmdemo.runtime.standing import Row, Status
from mmdemo.ui.i18n import say
from mmdemo.ui.parts import size
from mmdemo.ui.sentences import translate


def header(status: Status, chosen: Sequence[str], language: str) -> str:
    """Device, memory, the models that will answer, and that they are small when they are the starter set's.

    Args:
        chosen: keys of the models that are chosen in the tabs, in their order; some twice.
    """
    used, budget = status.memory.used, max(status.memory.budget, 1)
    percent = min(100, round(100 * used / budget))
    amount = say("memory_of", language, used=size(used), budget=size(budget))
    free = say("memory_free", language, free=size(status.memory.free))
    loaded = {spec.key: spec for spec in status.specs}
    answers = [one for key in dict.fromkeys(chosen) if (one := loaded.get(key) or _known(key))]
    others = [spec for key, spec in loaded.items() if key not in chosen]
    notes = []
    if all(spec.starter for spec in answers):
        notes.append(say("starter_note", language))
    if status.offline:
        notes.append(say("offline_note", language))
    return (
        '<div class="mm-facts-row">'
        f"{_fact(say('device', language), escape(translate(status.device, language)))}"
        f"{_fact(say('memory', language), f'{escape(amount)} · {escape(free)}', _meter(percent, amount))}"
        f"{_fact(say('answering', language), ' '.join(_answers(one, one.key in loaded, language) for one in answers))}"
        + (_fact(say("also_loaded", language), escape(", ".join(spec.title for spec in others))) if others else "")
        + "".join(f'<span class="mm-pill">{escape(line)}</span>' for line in notes)
        + "</div>"
    )


def _known(key: str) -> ModelSpec | None:
    """The row of a model that is chosen; None for one that was removed meanwhile."""
    try:
        return catalog.get(key)
    except StudioError:
        return None


def _answers(spec: ModelSpec, loaded: bool, language: str) -> str:
    """A model that answers, and whether it is loaded: by a sign, and in words for who points at it or cannot see it."""
    words = escape(say("is_loaded" if loaded else "not_loaded", language))
    return (
        f'<span class="mm-answers" title="{words}"><span aria-hidden="true">{"●" if loaded else "○"}</span> '
        f'{escape(spec.title)} <span class="mm-unseen">({words})</span></span>'
    )


def guide(language: str) -> str:
    """What a person should know of the page, opened by the header's Help."""
    lines = "".join(f"<li>{escape(say(f'help_{key}', language))}</li>" for key in GUIDE)
    title = escape(say("help", language))
    return (
        f'<dialog class="mm-dialog" aria-label="{title}"><h2 class="mm-title-line">{title}</h2><ul>{lines}</ul>'
        f'<form method="dialog"><button class="mm-small">{escape(say("close", language))}</button></form></dialog>'
    )


GUIDE = ("private", "begin", "stop", "seek", "keys", "program")


def _fact(name: str, value: str, more: str = "") -> str:
    return f'<span class="mm-fact"><span class="mm-muted">{escape(name)}</span> <span>{value}</span>{more}</span>'


def _meter(percent: int, label: str) -> str:
    return (
        f'<span class="mm-bar mm-meter" role="meter" aria-label="{escape(label)}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{percent}"><span style="width:{percent}%"></span></span>'
    )


def models(rows: Sequence[Row], offline: bool, language: str) -> str:
    """Every checkpoint: what it does, how large it is, where it stands, what can be done with it.

    The starter set comes first, then what was tuned here, what the user has found, what was used last before the rest,
    then the catalog.
    """
    own = [row for row in rows if row.spec.key.startswith(hub_rows.PREFIX)]
    own.sort(key=lambda row: -row.last_used.timestamp() if row.last_used else 0.0)
    starters = [row for row in rows if row.spec.starter]
    served = [row for row in rows if row.spec.key.startswith(remote_rows.PREFIX)]
    tuned = [row for row in rows if row.spec.key.startswith(folders.PREFIX)]
    placed = [*own, *served, *tuned, *starters]
    others = [row for row in rows if row not in placed]
    parts = []
    for key, some in (
        ("starter_set", starters), ("tuned_set", tuned), ("found_set", own), ("served_set", served),
        ("hub_set", others),
    ):  # fmt: skip
        if some:
            title = say(key, language)
            lines = "".join(_model(row, offline, language) for row in some)
            parts.append(f'<h3 class="mm-head">{title}</h3>{table(lines, COLUMNS, title, language)}')
    taken = sum(row.disk + row.arrived for row in rows if not local_only(row))
    if taken:
        parts.append(f'<p class="mm-from">{escape(say("cache_total", language, size=size(taken)))}</p>')
    return "".join(parts)


COLUMNS = ("model", "task", "size", "parameters", "licence", "state", "actions")


def table(lines: str, columns: Sequence[str], title: str, language: str) -> str:
    """Rows under the words `col_` and the columns' names; a phone shows them as cards."""
    head = "".join(f'<th scope="col">{say("col_" + name, language)}</th>' for name in columns)
    return (
        f'<div class="mm-scroll" tabindex="0" role="region" aria-label="{escape(title)}">'
        f'<table class="mm-table mm-models"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'
    )


def _model(row: Row, offline: bool, language: str) -> str:
    spec = row.spec
    does = ", ".join(say(f"task_{task}", language) for task in spec.tasks)
    bytes_ = row.disk or spec.bytes
    cells = [
        ("size", size(bytes_) if bytes_ else "–"),
        ("parameters", count(spec.parameters) if spec.parameters else "–"),
        ("licence", escape(translate(spec.licence, language))),
        ("state", state(row, language)),
    ]
    body = "".join(f'<td data-mm-name="{say("col_" + name, language)}">{value}</td>' for name, value in cells)
    buttons = "".join(button(action, spec.key, spec.title, language) for action in actions(row, offline))
    return (
        f'<tr data-mm-model="{escape(spec.key)}"><th scope="row"><span class="mm-title">{escape(spec.title)}</span>'
        f'<span class="mm-muted">{escape(translate(spec.about, language))}</span></th>'
        f'<td data-mm-name="{say("col_task", language)}">{does}</td>{body}'
        f'<td class="mm-actions">{buttons}</td></tr>'
    )


def count(millions: float) -> str:
    """A number of parameters: 135 M, 2.1 B."""
    return f"{millions / 1000:.1f} B" if millions >= 1000 else f"{millions:.3g} M"


def state(row: Row, language: str) -> str:
    """Where a checkpoint stands, in words, and when it was last used."""
    used = ""
    if row.last_used:
        when = row.last_used.astimezone().strftime("%Y-%m-%d %H:%M")
        used = f' <span class="mm-used mm-muted">{escape(say("last_used", language, when=when))}</span>'
    return _stands(row, language) + used + _broken(row, language)


def _broken(row: Row, language: str) -> str:
    """How its engine broke down, if it has not been loaded since."""
    if not row.problem:
        return ""
    words = escape(translate(row.problem, language))
    return f'<div class="mm-error mm-broken"><span aria-hidden="true">⚠</span> <span>{words}</span></div>'


def _stands(row: Row, language: str) -> str:
    if row.loaded:
        return f'<span class="mm-on">● {escape(say("state_loaded", language, device=row.device or "cpu"))}</span>'
    if row.cached:
        served = row.spec.key.startswith(remote_rows.PREFIX)
        return f"○ {escape(say('state_served' if served else 'state_cached', language))}"
    if row.arrived:
        return f"◐ {escape(say('state_partly', language, here=size(row.arrived), all=size(row.spec.bytes)))}"
    absent = say("state_absent", language)
    needs = "" if local_only(row) else " · " + say("state_network", language)
    return f'<span class="mm-muted">{escape(absent + needs)}</span>'


def local_only(row: Row) -> bool:
    """Whether a checkpoint can be had without a network."""
    return any(isinstance(source, catalog.Local) for source in row.spec.sources)


def actions(row: Row, offline: bool) -> list[str]:
    """What can be done with a checkpoint now."""
    if row.loaded:
        return ["unload"] if local_only(row) else ["unload", "remove"]
    if row.cached:
        return ["load"] if local_only(row) else ["load", "remove"]
    begun = ["remove"] if row.arrived else []
    if offline and not local_only(row):
        return begun
    return ["resume" if begun else "fetch", "load", *begun]


def button(action: str, key: str, title: str, language: str) -> str:
    """A button that does something with a checkpoint."""
    words = say(f"action_{action}", language)
    sure = escape(say("remove_sure", language, title=title)) if action == "remove" else ""
    return (
        f'<button type="button" class="mm-small" data-mm-action="{action}" data-mm-key="{escape(key)}" '
        f'data-mm-sure="{sure}" aria-label="{escape(words + " " + title)}">{words}</button>'
    )
