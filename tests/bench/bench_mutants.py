"""Measure how many seeded faults the unit tests detect: ``make mutants``.

Cosmic Ray changes one operator, number, keyword or condition of the product at a time. A changed copy, a
mutant, is *killed* if a test fails; otherwise it *survives*. The score is the killed share of a fixed sample.
The sample depends on the product's code only, so the scores of two test suites can be compared.

A mutant is tested by the test modules of its part that execute the changed line. A coverage file with a
context for each test tells which ones these are. An existing file of outcomes is continued.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue

from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import MutationSpec
from coverage import CoverageData

from tests import ROOT


@dataclass(frozen=True)
class Part:
    """Modules whose mutants are sampled together, and the tests that should kill them."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    sample: int


PARTS = {
    "objectives": Part(("kd_core/objectives",), ("tests/unit/objectives", "tests/unit/learn"), 20),
    "losses": Part(
        ("kd_core/distillation/training/losses.py", "kd_core/distillation/training/intermediate.py"),
        ("tests/unit/distillation/training",),
        14,
    ),
    "comparison": Part(("kd_core/distillation/comparison.py",), ("tests/unit/distillation",), 20),
    "recording": Part(
        ("kd_core/distillation/record.py", "kd_core/distillation/predictions.py"),
        ("tests/unit/distillation",),
        8,
    ),
    "students": Part(("kd_core/models/students.py",), ("tests/unit/models",), 14),
    "vocabulary": Part(("kd_core/models/vocabulary.py",), ("tests/unit/models",), 14),
    "splits": Part(("kd_core/data/splits.py", "kd_core/data/assemble.py"), ("tests/unit/data",), 20),
    "store": Part(("kd_core/jobs/store",), ("tests/unit/jobs",), 14),
    "results": Part(("kd_core/search/results.py",), ("tests/unit/search",), 12),
    "cascade": Part(
        ("kd_core/deployment/cascade.py", "kd_core/deployment/capacity.py"), ("tests/unit/deployment",), 16
    ),
}
# Plausible mistakes only. Other replacements, such as a shift for a sum, mostly raise an error at once.
OPERATORS = re.compile(
    r"ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Mul|Mod_Mul|Pow_Mul)"
    r"|ReplaceComparisonOperator_(Eq_NotEq|NotEq_Eq|Lt_LtE|LtE_Lt|Gt_GtE|GtE_Gt|Is_IsNot|IsNot_Is|In_NotIn|NotIn_In)"
    r"|ReplaceUnaryOperator_(USub_UAdd|Delete_USub|Delete_Not)|AddNot|ReplaceTrueWithFalse|ReplaceFalseWithTrue"
    r"|ReplaceAndWithOr|ReplaceOrWithAnd|ReplaceBreakWithContinue|ReplaceContinueWithBreak|ZeroIterationForLoop"
    r"|NumberReplacer|ExceptionReplacer"
)
# Frozen classes, keyword-only parameters and arguments of decorators.
EQUIVALENT = re.compile(r"frozen=True|^\*,|^@")
COPIED = ("kd_core", "pages", "tests", "assets", "docs", ".streamlit", ".ci")


@dataclass(frozen=True)
class Mutant:
    part: str
    module: str
    function: str
    line: int
    operator: str
    occurrence: int
    source: str


@dataclass(frozen=True)
class Outcome:
    mutant: Mutant
    killed: bool
    by: str
    seconds: float


def sample_of(name: str, part: Part) -> list[Mutant]:
    """Return the fixed sample of a part: at most one mutant for each place in the code."""
    places: dict[str, list[tuple[str, Mutant]]] = {}
    for spec in _all_mutations(_files(part.modules)):
        operator = spec.operator_name.removeprefix("core/")
        lines = Path(spec.module_path).read_text(encoding="utf-8").splitlines()
        module = str(Path(spec.module_path).relative_to(ROOT))
        line = spec.start_pos[0]
        source = lines[line - 1].strip()
        if not OPERATORS.fullmatch(operator) or EQUIVALENT.search(source):
            continue
        mutant = Mutant(
            name,
            module,
            spec.definition_name or "",
            line,
            operator,
            spec.occurrence,
            source,
        )
        # Neither line numbers nor occurrences: changes elsewhere in the module keep the sample.
        place = f"{module} {mutant.function} {source} {spec.start_pos[1]}"
        places.setdefault(place, []).append((f"{place} {operator}", mutant))
    chosen = [min(found, key=lambda keyed: _digest(keyed[0])) for found in places.values()]
    chosen.sort(key=lambda keyed: _digest(keyed[0]))
    return [mutant for _, mutant in chosen[: part.sample]]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _files(modules: Iterable[str]) -> list[Path]:
    paths = [ROOT / module for module in modules]
    return [file for path in paths for file in (sorted(path.glob("*.py")) if path.is_dir() else [path])]


def _all_mutations(files: list[Path]) -> Iterator[MutationSpec]:
    with tempfile.TemporaryDirectory() as folder, use_db(Path(folder) / "work.sqlite") as work:
        init(files, work, {})
        for item in list(work.work_items):
            yield from item.mutations


class Workplace:
    """A copy of the checkout in which one mutant at a time is applied and tested."""

    def __init__(self, folder: Path, tests_of: Path) -> None:
        self.folder = folder
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for file in (path for path in ROOT.iterdir() if path.is_file()):
            shutil.copy(file, folder)
        if tests_of != ROOT:
            shutil.rmtree(folder / "tests")
            shutil.copytree(tests_of / "tests", folder / "tests")
            shutil.copy(tests_of / "pyproject.toml", folder)

    def test(self, mutant: Mutant, tests: list[str], limit: float) -> tuple[int, str, float]:
        """Return the tests' exit status, the first failure and the seconds they took."""
        began = time.monotonic()
        file = self.folder / mutant.module
        original = file.read_text(encoding="utf-8")
        changed = mutate_code(original, get_operator(f"core/{mutant.operator}")(), mutant.occurrence)
        assert changed is not None
        file.write_text(changed, encoding="utf-8")
        try:
            return *self._run(tests, limit), time.monotonic() - began
        finally:
            file.write_text(original, encoding="utf-8")

    def _run(self, tests: Iterable[str], limit: float) -> tuple[int, str]:
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=line", *tests]
        command += ["-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist"]
        env = {
            **os.environ,
            "PYTHONPATH": str(self.folder),
            "KD_HOME": str(self.folder / "home"),
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return -1, "time limit"
        failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
        return process.returncode, failed[0] if failed else output[-300:]


class Coverage:
    """Which test modules execute a line, from a coverage file with a context for each test."""

    def __init__(self, file: Path, without: Iterable[str]) -> None:
        self.data = CoverageData(str(file))
        self.data.read()
        self.files = {Path(name): name for name in self.data.measured_files()}
        self.without = set(without)

    def tests(self, mutant: Mutant) -> list[str]:
        """Return the modules in the part's test folders, those named like the mutated module first."""
        measured = [name for path, name in self.files.items() if path.match(f"*/{mutant.module}")]
        lines = self.data.contexts_by_lineno(measured[0]) if measured else {}
        modules = {context.partition("::")[0] for context in lines.get(mutant.line, ())} - {""}
        folders = PARTS[mutant.part].tests
        found = [name for name in modules if name.startswith(folders) and Path(name).stem not in self.without]
        stem = Path(mutant.module).stem
        return sorted(found, key=lambda name: (stem not in name, name))


def measure(
    mutants: list[Mutant], tests_of: Path, coverage: Coverage, workers: int, limit: float
) -> Iterator[Outcome]:
    """Yield the outcome of each mutant as soon as it is known."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as pool:
        free: SimpleQueue[Workplace] = SimpleQueue()
        for number in range(workers):
            place = Path(folder) / str(number)
            place.mkdir()
            free.put(Workplace(place, tests_of))

        def outcome(mutant: Mutant) -> Outcome:
            tests = coverage.tests(mutant)
            if not tests:
                return Outcome(mutant, False, "no test executes it", 0.0)
            workplace = free.get()
            try:
                status, by, seconds = workplace.test(mutant, tests, limit)
            finally:
                free.put(workplace)
            return Outcome(mutant, status != 0, "" if status == 0 else by, round(seconds, 1))

        for done in as_completed([pool.submit(outcome, mutant) for mutant in mutants]):
            yield done.result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--coverage", type=Path, default=ROOT / ".coverage")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--tests-of", type=Path, default=ROOT, help="a checkout whose tests are used")
    parser.add_argument("--without", nargs="+", default=[], help="test modules to leave out")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--limit", type=float, default=900, help="seconds until a mutant counts as killed")
    parser.add_argument("--out", type=Path, required=True, help="a JSON file for the outcomes")
    given = parser.parse_args()
    kept = json.loads(given.out.read_text(encoding="utf-8")) if given.out.is_file() else []
    outcomes = [Outcome(**{**one, "mutant": Mutant(**one["mutant"])}) for one in kept]
    done = {one.mutant for one in outcomes}
    sample = [mutant for name in given.parts for mutant in sample_of(name, PARTS[name])]
    left = [mutant for mutant in sample if mutant not in done]
    coverage = Coverage(given.coverage, given.without)
    for one in measure(left, given.tests_of.resolve(), coverage, given.workers, given.limit):
        outcomes.append(one)
        mutant, end = one.mutant, f"killed by {one.by}" if one.killed else f"SURVIVED {one.by}"
        print(f"{len(outcomes)}/{len(sample)} {one.seconds:.1f} s {mutant.module}:{mutant.line}", end=" ")
        print(f"{mutant.operator} [{mutant.source}] {end}", flush=True)
        given.out.write_text(json.dumps([asdict(each) for each in outcomes], indent=1), encoding="utf-8")
    print()
    for name in given.parts:
        own = [one.killed for one in outcomes if one.mutant.part == name]
        print(f"{name:12}{sum(own):4} of {len(own)} killed")
    killed = sum(one.killed for one in outcomes)
    print(f"{'all':12}{killed:4} of {len(outcomes)} killed, {100 * killed / len(outcomes):.1f} %")


if __name__ == "__main__":
    main()
