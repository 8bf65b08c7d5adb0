"""Coverage of what runs in greenlets: every step from line to line, and none that was not taken."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.harness import environment

TALK = """
import greenlet


def ask(question):
    if question > 1:
        answer = greenlet.getcurrent().parent.switch(question)
    else:
        answer = ask(question + 1)
    return answer


def talk(question):
    for _ in range(2):
        answer = ask(question)
        if answer == "stop":
            raise KeyError(answer)
    return "end"


def run():
    told = []
    for question in (0, 2):
        first, second = greenlet.greenlet(talk), greenlet.greenlet(talk)
        told += [first.switch(question), second.switch(2)]
        told.append(first.switch("go"))
        try:
            second.switch("stop")
        except KeyError:
            told.append("stopped")
        told.append(first.switch("go"))
    return told
"""
MEASURE = """
import json
from coverage import Coverage
from tests.greenlets import follow
import talk

follow()
measured = Coverage(data_file=None, branch=True, include=[talk.__file__], config_file=False)
for _ in range(2):  # begun again, as round a test that asks another process
    measured.start()
    told = talk.run()
    measured.stop()
assert told == [2, 2, 2, "stopped", "end"] * 2, told
print(json.dumps(sorted(measured.get_data().arcs(talk.__file__))))
"""


ASK = [(-5, 6), (6, 7), (6, 9), (7, 10), (9, 10), (10, -5)]
SAY = [(-13, 14), (14, 15), (14, 18), (15, 16), (16, 14), (16, 17), (17, -13), (18, -13)]
RUN = [(-21, 22), *((line, line + 1) for line in range(22, 30)), (30, 31), (31, 23), (23, 32), (32, -21)]


def test_a_greenlet_is_measured_as_it_runs_whatever_runs_in_between(tmp_path: Path) -> None:
    (tmp_path / "talk.py").write_text(TALK)
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE],
        env=environment({}) | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert sorted(map(tuple, json.loads(ran.stdout))) == sorted(ASK + SAY + RUN)
