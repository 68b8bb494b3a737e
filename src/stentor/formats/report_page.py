"""The after-action report as one HTML file: no scripts, nothing from elsewhere, readable on paper too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from stentor.formats import plot
from stentor.formats.plot import Line, Shade, Times
from stentor.formats.report import Report, RuleLife, Series, Stretch
from stentor.formats.report_style import STYLE
from stentor.formats.report_words import LEVELS, RUNGS, attacks, clock, day, lasting

VERDICTS = ("calm", "crowd", "undecided", "attack")
RULES_SHOWN_MAX = 300
RULES_AT_ONCE = 12
STRETCHES_SHOWN_MAX = 300
SAID_SHOWN_MAX = 500
ROWS_MAX = 90
KINDS = (
    ("attack", "The attack, and the answer to it"),
    ("unclear", "Met it in time; the cause is not shown"),
    ("other", "Not the attack's doing"),
)


def page(report: Report) -> str:
    """The whole document."""
    title = escape(report.title or report.show)
    parts = [_head(report), _summary(report), _findings(report), _plots(report), _verdicts(report), _rules(report)]
    parts += [_audio(report), _said(report), _caveats(report), _check(report)]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="robots" content="noindex">\n'
        f"<title>{title} · after-action report</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def _head(report: Report) -> str:
    when = f"{day(report.from_ms)}, {clock(report.from_ms)} to {clock(report.to_ms)} UTC"
    return (
        f"<header><p class='brand'>Stentor · after-action report</p><h1>{escape(report.title or report.show)}</h1>"
        f"<p class='soft'>{when}; promised for {clock(report.starts_at_ms)}. All times are UTC.</p></header>\n<main>"
    )


def _summary(report: Report) -> str:
    verdict = "attack" if attacks(report) else "calm"
    lines = "".join(f"<p>{escape(line)}</p>" for line in report.summary)
    return f"<section class='summary {verdict}' aria-labelledby='short'><h2 id='short'>In short</h2>{lines}</section>"


def _findings(report: Report) -> str:
    groups = []
    for kind, name in KINDS:
        words = [f"<li>{escape(one.words)}</li>" for one in report.findings if one.kind == kind]
        if words:
            groups.append(f"<div class='{kind}'><h3>{name}</h3><ul>{''.join(words)}</ul></div>")
    body = f"<div class='groups'>{''.join(groups)}</div>" if groups else "<p>Nothing to tell.</p>"
    return _section("causes", "What was the attack's doing, and what was not", body)


def _plots(report: Report) -> str:
    data = report.series
    times = Times(data.from_ms, data.step_s, len(data.listening))
    shades = [Shade(one.from_ms, one.to_ms) for one in attacks(report)]
    mark = report.starts_at_ms
    totals = report.totals
    figures = [
        _figure(
            "Listening and waiting",
            plot.lines(
                f"Listening, at most {totals.listening_most:,}; waiting, at most {totals.waiting_most:,}",
                times,
                [Line("listening", data.listening), Line("waiting", data.waiting, "b")],
                shades,
                mark,
            ),
        ),
        _figure(
            "Joins and refusals, a second",
            plot.lines(
                f"Joins asked for, sessions begun, and connections refused by rules: {totals.blocked:,} in all",
                times,
                [
                    Line("asked for", data.asked_hz, "b"),
                    Line("begun", data.joins_hz),
                    Line("refused", data.blocked_hz, "c"),
                ],
                shades,
                mark,
            ),
        ),
        _figure("Verdict", plot.steps(_spoken(report), times, data.verdict, VERDICTS, shades, mark)),
        _figure("Level of the answer", plot.steps("Level", times, data.level, LEVELS, shades, mark)),
        _figure("Quality given up", plot.steps("Ladder", times, data.rung, _RUNGS_SHORT, shades, mark)),
        _figure("Share of hold in the audio", plot.lines("Hold", times, [Line("hold", data.held)], shades, mark)),
    ]
    legend = "Shaded: times with the verdict attack. The dotted line: the promised start. Gaps: nobody kept the ledger."
    return _section("course", "The course of it", f"<p class='soft'>{legend}</p>" + "".join(figures) + _table(data))


_RUNGS_SHORT = ("nothing", "pairs", "fours", "low, new", "low, all")


def _spoken(report: Report) -> str:
    found = [f"{one.verdict} from {clock(one.from_ms)} to {clock(one.to_ms)}" for one in report.verdicts[:8]]
    return "Verdict: " + ("; ".join(found) if found else "calm all the time")


def _figure(name: str, svg: str) -> str:
    words = escape(name)
    return (
        f"<figure><figcaption>{words}</figcaption>"
        f"<div class='wide' role='region' aria-label='{words}' tabindex='0'>{svg}</div></figure>"
    )


def _table(data: Series) -> str:
    """The plots' figures, for those who cannot see them, or want to copy them: the most of every few steps."""
    every = -(-len(data.listening) // ROWS_MAX)
    names = ("Listening", "Waiting", "Begun a second", "Refused a second", "Verdict", "Level", "Quality")
    columns = (data.listening, data.waiting, data.joins_hz, data.blocked_hz, data.verdict, data.level, data.rung)
    rows = []
    for at in range(0, len(data.listening), every):
        most = [_most(column[at : at + every]) for column in columns]
        time = clock(data.from_ms + at * data.step_s * 1000)
        cells = [*map(_number, most[:4]), *_named(most[4:])]
        rows.append(f"<tr><th scope='row'>{time}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    table = _tabled("The figures behind the plots", ("Time", *names), rows)
    name = f"The figures behind the plots, the most of every {every * data.step_s} s"
    return f"<details><summary>{name}</summary>{table}</details>"


def _most(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _named(most: Sequence[float | None]) -> list[str]:
    return [
        "–" if value is None else names[int(value)]
        for value, names in zip(most, (VERDICTS, LEVELS, _RUNGS_SHORT), strict=True)
    ]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"


def _verdicts(report: Report) -> str:
    if not report.verdicts:
        return _section("verdicts", "Verdicts and their evidence", "<p>Calm all the time.</p>")
    shown = report.verdicts[:STRETCHES_SHOWN_MAX]
    rows = [
        f"<tr><th scope='row'>{clock(one.from_ms)}</th><td>{lasting(one.to_ms - one.from_ms)}</td>"
        f"<td><span class='tag {one.verdict}'>{one.verdict}</span></td><td>{one.level} {LEVELS[min(one.level, 4)]}</td>"
        f"<td>{_evidence(one)}</td></tr>"
        for one in shown
    ]
    table = _tabled("Verdicts", ("From", "For", "Verdict", "Level", "Evidence when it was reached"), rows)
    return _section("verdicts", "Verdicts and their evidence", table + _more(len(report.verdicts), len(shown)))


def _evidence(one: Stretch) -> str:
    words = [f"{signal.words} ({signal.family}, {signal.score:.4g})" for signal in one.signals]
    if one.asked:
        words.append(
            f"In 10 s: {one.asked:,} joins asked for by about {one.sources:,} sources, {one.completed:,} played."
        )
    words += ["Dry run: nothing was enforced."] if one.dry_run else []
    words += ["Siege, by order of the crew."] if one.siege else []
    words += [f"Drops by: {one.drops_by}."] if one.drops_by else []
    return "<br>".join(map(escape, words)) or "–"


def _rules(report: Report) -> str:
    totals = report.totals
    if not report.rules:
        return _section("rules", "Rules", "<p>No rule was made.</p>")
    shown = sorted(report.rules, key=lambda rule: (-rule.hits, rule.made_ms))[:RULES_SHOWN_MAX]
    spared = f"{totals.rules_spared:,} with something that spoke against it"
    counts = f"{totals.rules:,} rules: {totals.rules_enforced:,} enforced, {spared}, {totals.rules_released:,} released"
    order = "Those with most events come first. A rule limits new connections first, and shuts out a second later."
    head = f"<p>{counts} by the crew. {order}</p>"
    names = ("Made", "Rule", "Source", "Enforced after", "Ended", "Events in 10 s", "Signals", "Counter-evidence")
    rows = [_rule(rule) for rule in shown]
    table = _tabled("Rules", names, rows[:RULES_AT_ONCE])
    if rest := rows[RULES_AT_ONCE:]:
        table += f"<details><summary>{len(rest)} more</summary>{_tabled('More rules', names, rest)}</details>"
    return _section("rules", "Rules", head + table + _more(len(report.rules), len(shown)))


def _rule(rule: RuleLife) -> str:
    enforced = lasting(rule.enforced_ms - rule.made_ms) if rule.enforced_ms else "never"
    ended = f"{clock(rule.ended_ms)}, {rule.ended}" if rule.ended else f"by {clock(rule.until_ms)} at the latest"
    cells = (
        rule.action,
        f"{rule.kind} {rule.source}",
        enforced,
        ended,
        f"{rule.hits:,}",
        rule.why or "–",
        rule.spared or "none",
    )
    return f"<tr><th scope='row'>{clock(rule.made_ms)}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _audio(report: Report) -> str:
    audio = report.audio
    if audio.by == "nothing":
        return _section("audio", "The audio", "<p>Nothing was aired.</p>")
    share = 100 * audio.aired / max(1, audio.chunks)
    rows = [
        ("Pieces (chunks) due", f"{audio.chunks:,}"),
        ("with program", f"{audio.aired:,} ({share:.3f} %)"),
        ("with hold", f"{audio.held:,}"),
        ("— nobody was on air", f"{audio.unvoiced:,}"),
        ("— the studio was silent or late", f"{audio.studio:,}"),
        ("— not explained here", f"{audio.unexplained:,}, of these {audio.unexplained_in_attack:,} during the attack"),
        ("Due during the attack", f"{audio.in_attack:,}"),
        ("Too late from the studio", f"{audio.late:,}"),
        ("Not recorded", f"{audio.lost:,}"),
    ]
    body = "".join(f"<tr><th scope='row'>{escape(name)}</th><td>{value}</td></tr>" for name, value in rows)
    by = {"tape": "Each chunk of the recording was looked at.", "ledger": "By samples of the ledger."}[audio.by]
    signed = _signed(report) if audio.by == "tape" else ""
    table = f"<div class='wide' role='region' aria-label='Pieces of audio' tabindex='0'><table>{body}</table></div>"
    return _section("audio", "The audio", f"<p>{by} {signed}</p>{table}")


def _signed(report: Report) -> str:
    audio = report.audio
    state = "has its signed end" if audio.signed else "has no signed end yet"
    chain = f"; its chain after chunk {audio.last_n} is <code>{escape(audio.chain)}</code>" if audio.chain else ""
    return f"The recording {state}{chain}. <code>stentor verify</code> checks it."


def _said(report: Report) -> str:
    said = sorted(
        [*((one, "Crew") for one in report.orders), *((one, "Ledger") for one in report.notes)],
        key=lambda p: p[0].at_ms,
    )
    if not said:
        return _section("orders", "What the crew ordered", "<p>Nothing that concerns the door.</p>")
    rows = [
        f"<tr><th scope='row'>{clock(one.at_ms)}</th><td>{who}</td><td>{escape(one.words)}</td></tr>"
        for one, who in said[:SAID_SHOWN_MAX]
    ]
    table = _tabled("Orders and notes", ("Time", "By", "What"), rows) + _more(len(said), SAID_SHOWN_MAX)
    return _section("orders", "What the crew ordered", table)


def _caveats(report: Report) -> str:
    return _section("limits", "What this cannot show", f"<ul>{_items(report.caveats)}</ul>")


def _check(report: Report) -> str:
    source = report.source
    facts = [
        f"Made {day(report.made_at_ms)} {clock(report.made_at_ms)} UTC from <code>{escape(source.file)}</code>, "
        f"{source.bytes:,} bytes, {source.entries:,} entries by {source.ushers} usher{'s' * (source.ushers != 1)}.",
        f"SHA-256 of the ledger: <code>{source.sha256}</code>",
        f"The same as JSON: <code>stentor report {escape(report.show)} --json</code>. Every figure here is in it.",
        "Rates in the plots are over each step; a rule's events are the most that its source showed in 10 s.",
    ]
    return _section("check", "How to check this", f"<ul>{''.join(f'<li>{fact}</li>' for fact in facts)}</ul>")


def _items(words: Iterable[str]) -> str:
    return "".join(f"<li>{escape(one)}</li>" for one in words)


def _more(count: int, shown: int) -> str:
    return f"<p class='soft'>{count - shown:,} more are in the JSON.</p>" if count > shown else ""


def _tabled(name: str, heads: Sequence[str], rows: Sequence[str]) -> str:
    head = "".join(f"<th scope='col'>{escape(one)}</th>" for one in heads)
    return (
        f"<div class='wide' role='region' aria-label='{escape(name)}' tabindex='0'><table>"
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _section(id_: str, name: str, body: str) -> str:
    return f"<section aria-labelledby='{id_}'><h2 id='{id_}'>{name}</h2>{body}</section>"


assert len(RUNGS) == len(_RUNGS_SHORT)
