"""The after-action report in sentences: careful ones. What the ledger does not show is not said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from stentor.formats.report import Audio, Finding, Report, Stretch, Totals

RUNGS = (
    "full quality",
    "sound two pieces at a time",
    "sound four pieces at a time",
    "the low bitrate for new listeners",
    "the low bitrate for everybody",
)
LEVELS = ("open", "crowd", "doubt", "attack", "siege")


def clock(at_ms: int) -> str:
    """The time of day, UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M:%S")


def day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d")


def lasting(ms: int) -> str:
    """A length of time in words."""
    seconds = round(ms / 1000)
    hours, minutes, rest = seconds // 3600, seconds // 60 % 60, seconds % 60
    parts = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else "", f"{rest} s" if rest else ""]
    return " ".join(filter(None, parts)) or "less than a second"


def many(count: int, one: str, more: str = "") -> str:
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def attacks(report: Report) -> list[Stretch]:
    return [one for one in report.verdicts if one.verdict == "attack"]


def summary(report: Report) -> tuple[str, ...]:
    return (_audience(report.totals), _verdict(report), _rules(report.totals), audio_words(report.audio))


def _audience(totals: Totals) -> str:
    listened = f"At most {many(totals.listening_most, 'listener')} at once"
    at = f", at {clock(totals.listening_most_ms)} UTC" if totals.listening_most else ""
    waited = f"; up to {totals.waiting_most:,} waited in line" if totals.waiting_most else ""
    return f"{listened}{at}; {many(totals.joins, 'session')} began{waited}."


def _verdict(report: Report) -> str:
    found = attacks(report)
    if found:
        began = f"The traffic at the door was judged to be an attack, first at {clock(found[0].from_ms)} UTC"
        return f"{began}, for {lasting(report.totals.attack_ms)} in all, last until {clock(found[-1].to_ms)} UTC."
    undecided = [one for one in report.verdicts if one.verdict == "undecided"]
    if undecided:
        ms = sum(one.to_ms - one.from_ms for one in undecided)
        return (
            f"No attack was seen. For {lasting(ms)} it could not be told whether a crowd or an attack was at the door."
        )
    crowd = sum(one.to_ms - one.from_ms for one in report.verdicts if one.verdict == "crowd")
    return f"No attack was seen.{f' For {lasting(crowd)} a crowd was at the door.' if crowd else ''}"


def _rules(totals: Totals) -> str:
    if not totals.rules:
        refused = f"; {many(totals.blocked, 'connection was', 'connections were')} refused all the same"
        return f"No rule against anybody is written down here{refused if totals.blocked else ''}."
    enforced = f"{many(totals.rules, 'rule')} against sources, {totals.rules_enforced:,} of them enforced"
    refused = f"; {many(totals.blocked, 'connection was', 'connections were')} refused by rules in the workers"
    released = f"; the crew released {totals.rules_released:,}" if totals.rules_released else ""
    return f"The shield made {enforced}{refused}{released}."


def audio_words(audio: Audio) -> str:
    if audio.by == "nothing":
        return "Nothing was aired in this time."
    by = "By the recording" if audio.by == "tape" else "By the ledger's samples"
    length = f" of {audio.chunk_ms / 1000:g} s" if audio.chunk_ms else ""
    text = f"{by}, {many(audio.chunks, 'piece')} of audio{length} went out: {audio.aired:,} of program,"
    text += f" {audio.held:,} of hold"
    lost = f"; {many(audio.lost, 'piece is', 'pieces are')} missing from the recording" if audio.lost else ""
    return f"{text}{lost}."


def findings(report: Report, during: Totals) -> tuple[Finding, ...]:
    """`during`: the sums of what fell into the times with the verdict attack."""
    attacked = bool(attacks(report))
    found = [*_by_attack(report, during)] if attacked else []
    found += [*_unclear(report, during)] if attacked else []
    return (*found, *_by_other(report, during, attacked))


def _by_attack(report: Report, during: Totals) -> Iterator[Finding]:
    if during.blocked:
        words = f"{many(during.blocked, 'connection was', 'connections were')} refused by rules while it lasted."
        yield Finding("attack", f"{words} This is the shield's answer to the attack.")
    if during.challenged:
        yield Finding("attack", f"{many(during.challenged, 'join')} had to solve a task first while it lasted.")
    if during.shed:
        words = f"{many(during.shed, 'request was', 'requests were')} put off while it lasted"
        yield Finding("attack", f"{words}, with a time to come again. Honest ones may be among them.")
    dry = any(one.dry_run for one in attacks(report))
    if dry:
        yield Finding("attack", "For a time the crew had a dry run on: rules were made, and not enforced.")


def _unclear(report: Report, during: Totals) -> Iterator[Finding]:
    audio = report.audio
    if audio.unexplained_in_attack:
        words = (
            f"{many(audio.unexplained_in_attack, 'piece')} of hold went out while somebody was on air and it lasted."
        )
        yield Finding("unclear", f"{words} The ledger does not show why.")
    if during.dropped:
        rest = report.totals.dropped - during.dropped
        words = (
            f"{many(during.dropped, 'listener was', 'listeners were')} dropped while it lasted, for nothing was taken"
        )
        yield Finding("unclear", f"{words} from their connection; outside of it {rest:,}.")


def _by_other(report: Report, during: Totals, attacked: bool) -> Iterator[Finding]:
    audio, totals = report.audio, report.totals
    yield from _of_audio(audio, attacked)
    if totals.rung_most:
        words = f"Quality was given up, down to {RUNGS[min(totals.rung_most, 4)]}."
        yield Finding("other", f"{words} This goes by the number of listeners, not by the verdict.")
    if totals.waiting_most:
        words = f"Up to {totals.waiting_most:,} waited, at {clock(totals.waiting_most_ms)} UTC: all seats were taken,"
        yield Finding("other", f"{words} or were not yet given out.")
    outside = totals.blocked - during.blocked
    if outside:
        words = f"{many(outside, 'connection was', 'connections were')} refused by rules"
        after = (
            "before or after the verdict attack: rules live on for a while." if attacked else "without that verdict."
        )
        yield Finding("unclear", f"{words} {after}")
    if totals.skipped:
        words = f"{many(totals.skipped, 'time')} a listener fell behind and was skipped forward"
        yield Finding("unclear" if attacked else "other", f"{words}: their line was too slow for a while.")


def _of_audio(audio: Audio, attacked: bool) -> Iterator[Finding]:
    if audio.unvoiced:
        words = f"{many(audio.unvoiced, 'piece')} of hold went out because nobody was on air."
        yield Finding("other", words)
    if audio.studio:
        words = f"{many(audio.studio, 'piece')} of hold went out because the studio was silent or late."
        yield Finding("other", f"{words} It has no public part in the door's traffic, but shares the machine with it.")
    rest = audio.unexplained - audio.unexplained_in_attack
    if rest:
        when = "outside of the attack, " if attacked else ""
        words = f"{many(rest, 'piece')} of hold went out {when}while somebody was on air"
        yield Finding("other", f"{words}; the ledger does not show why.")
    if audio.aired and not audio.unexplained and not audio.studio and not audio.lost:
        yield Finding("other", "While somebody was on air, every piece of audio carried the program.")
    if audio.lost:
        yield Finding("other", f"{many(audio.lost, 'piece')} could not be recorded: the disk did not take them.")


def _error_words(found: list[Stretch]) -> str:
    if not found:
        return ""
    error = next((one.error for one in reversed(found) if one.error), "")
    if not error:
        return "How often such a verdict is wrong is not written in this ledger."
    return f"How often such a verdict was wrong in rehearsal: {error}"


def caveats(report: Report, taped: bool) -> tuple[str, ...]:
    source, totals = report.source, report.totals
    said = [
        _error_words(attacks(report)),
        "A verdict is a judgement from counts at the door. It does not say who was behind the traffic, nor why.",
        "A verdict stands for ten seconds or more after its last sign: not all in that time is part of an attack.",
        "A source is a network address, not a person: many people may share one, and one may have many.",
        "Machines that play the whole show as people do pass as people; they would be counted as listeners here.",
        "A flood that fills the line before it reaches this machine is not in this ledger.",
        "Connections refused are those that workers counted; what the kernel dropped before is not in here.",
        "Sources are keyed hashes. The key changes each day and was kept on no disk, so that no address can be told.",
        "A session is one connection that began to listen: who lost it and came back counts again.",
        "" if taped else "The recording was not at hand: what is said of audio is from samples, one a second.",
        f"For {lasting(totals.unsampled_ms)} nobody kept the ledger." if totals.unsampled_ms else "",
        f"{many(source.unread, 'line')} of the ledger could not be read." if source.unread else "",
        "The ledger's last line is cut short, as after a crash." if source.torn else "",
    ]
    return tuple(filter(None, said))
