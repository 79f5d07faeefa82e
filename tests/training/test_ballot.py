"""A blind vote: sides that nobody can guess, votes that last, and a sentence only when there are enough."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmdemo.datasets.rows import Row
from mmdemo.errors import NoSpace, UnknownName
from mmdemo.training.ballot import ANSWERS_FILE, VOTES_FILE, Ballot, Question, asked


def a_run(folder: Path, rows: int = 40) -> Path:
    folder.mkdir()
    made = [Row(f"rows.csv, row {place}", text=f"question {place}") for place in range(rows)]
    before, after = (["old"] * rows, ["new"] * rows)
    (folder / ANSWERS_FILE).write_text(json.dumps(asked(made, before, after)))
    return folder


def choose(ballot: Ballot, answer: str) -> Question:
    """Vote for the side that says this."""
    row = ballot.next()
    assert row is not None
    ballot.vote(row.origin, "a" if row.a == answer else "b")
    return row


def test_only_rows_whose_answers_differ_are_asked_about() -> None:
    rows = [Row("row 1", text="x", image=Path("/x/cat.png")), Row("row 2", text="y"), Row("row 3", tokens=("a", "b"))]
    found = asked(rows, ["one", "same", "B-X O"], ["two", "same ", "O O"])
    assert [row["origin"] for row in found] == ["row 1", "row 3"]
    assert found[0]["media"] == ["/x/cat.png"] and found[1]["input"] == "a b"


def test_the_sides_are_mixed_and_stay_as_they_are(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run")
    sides = {origin: Ballot(folder).question(origin).a for origin in Ballot(folder)._rows}
    assert {side: list(sides.values()).count(side) for side in ("old", "new")}["new"] in range(8, 33)
    assert {origin: Ballot(folder).question(origin).a for origin in sides} == sides, "a reload changes nothing"
    other = Ballot(a_run(tmp_path / "other"))
    assert [other.question(origin).a for origin in sides] != list(sides.values()), "another run is mixed otherwise"


def test_each_row_is_asked_once_and_the_votes_outlive_the_page(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run", 12)
    seen = {choose(Ballot(folder), "new").origin for _ in range(11)}
    assert len(seen) == 11
    with (folder / VOTES_FILE).open("a") as file:
        file.write('{"origin": "rows.csv, row')  # the machine went off
    with (folder / VOTES_FILE).open("a") as file:
        file.write("\n")
    last = choose(Ballot(folder), "old")
    assert last.origin not in seen and Ballot(folder).next() is None
    assert Ballot(folder).tally().after == 11 and Ballot(folder).tally().before == 1
    Ballot(folder).vote(last.origin, "bad")
    assert Ballot(folder).tally().before == 0 and Ballot(folder).tally().bad == 1, "the last vote on a row counts"


def test_how_it_stands_is_told_when_there_are_enough_votes(tmp_path: Path) -> None:
    ballot = Ballot(a_run(tmp_path / "run"))
    for _ in range(9):
        choose(ballot, "new")
    assert not ballot.tally().told
    choose(ballot, "new")
    now = ballot.tally()
    assert now.told and now.verdict == "better" and now.p == pytest.approx(2 / 2**10)
    assert now.share == 1 and 0.69 < now.low < 0.75 and now.high == pytest.approx(1)  # Wilson, 10 of 10


@pytest.mark.parametrize(
    ("old", "new", "same", "verdict"), [(10, 0, 0, "worse"), (5, 6, 0, "open"), (0, 5, 20, "open"), (0, 0, 12, "open")]
)
def test_a_verdict_needs_more_than_chance(tmp_path: Path, old: int, new: int, same: int, verdict: str) -> None:
    ballot = Ballot(a_run(tmp_path / "run"))
    for answer, count in (("old", old), ("new", new)):
        for _ in range(count):
            choose(ballot, answer)
    for _ in range(same):
        row = ballot.next()
        assert row
        ballot.vote(row.origin, "same")
    now = ballot.tally()
    assert now.told and now.verdict == verdict and now.votes == old + new + same


def test_with_few_rows_all_of_them_are_enough(tmp_path: Path) -> None:
    ballot = Ballot(a_run(tmp_path / "run", 3))
    for _ in range(3):
        choose(ballot, "new")
    assert ballot.tally().told and ballot.tally().verdict == "open"


def test_a_wrong_vote_and_a_folder_that_cannot_be_written_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ballot = Ballot(a_run(tmp_path / "run"))
    row = ballot.next()
    assert row
    with pytest.raises(UnknownName, match="no vote 'c'"):
        ballot.vote(row.origin, "c")
    with pytest.raises(UnknownName, match="row to vote on"):
        ballot.vote("row 99", "a")
    (tmp_path / "run" / VOTES_FILE).mkdir()
    with pytest.raises(NoSpace, match="could not be kept"):
        ballot.vote(row.origin, "a")
    assert len(Ballot(tmp_path / "nothing")) == 0 and Ballot(tmp_path / "nothing").next() is None


def test_a_training_keeps_the_answers_to_vote_on_and_measures_other_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmdemo.settings import Settings
    from mmdemo.training.run import run
    from tests.training import toys

    settings = Settings(home=str(tmp_path / "home"), threads=1, device="cpu", offline=True)
    model = toys.gpt(tmp_path / "gpt")

    def chats(name: str, answer: str, count: int) -> Path:
        rows: list[dict[str, Any]] = [
            {"messages": [{"role": "user", "content": f"{name} {place}"}, {"role": "assistant", "content": answer}]}
            for place in range(count)
        ]
        return toys.table(tmp_path / f"{name}.jsonl", rows)

    data, also = chats("ask", "yes", 12), chats("other", "no", 5)
    with also.open("a") as file:
        file.write(data.read_text().splitlines()[0] + "\n")
    folder = toys.a_run(
        tmp_path / "run", task="text-generation", data=str(data), also=str(also), model=str(model), method="full",
        steps=40, learning_rate=1e-2, batch=4, validation=0.3, max_length=64, evaluate_every=40,
    )  # fmt: skip
    assert run(folder, settings) == 0, toys.events_of(folder)[-1]
    report = json.loads((folder / "report.json").read_text())
    assert report["also"]["data"] == "other.jsonl" and report["also"]["rows"] in (5, 6)
    assert set(report["also"]["difference"]) == set(report["difference"])
    assert "On other.jsonl:" in toys.events_of(folder)[-1]["message"]
    assert {event["split"] for event in toys.events_of(folder, "metric")} >= {"validation", "final", "other"}
    ballot = Ballot(folder)
    row = ballot.next()
    assert len(ballot) and row and "yes" in (row.a, row.b)
