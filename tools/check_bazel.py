"""Lets Bazel read the BUILD files: loads and analyses every target, and runs the quick tests.

    python tools/check_bazel.py [--tests=//tests/metrics/...]

It needs Debian's packages bazel-bootstrap and bazel-rules-java, and downloads nothing: the rules are
Bazel's native ones, and a third-party package is an empty library, for which tests in the sandbox
get this environment's site-packages. Works on a copy of the repository.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import flags

from official_vision import cli
from official_vision.errors import UserError

REPOSITORY = Path(__file__).resolve().parent.parent
# What the BUILD files name.
COPIED = (".bazelignore", "BUILD", "MODULE.bazel", "Makefile", "pyproject.toml", "requirements.txt")
COPIED += ("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "docs", "gin_configs")
COPIED += ("official_vision", "tests", "tools")
BAZEL = "bazel-4"  # Debian's: the last that reads WORKSPACE files with native Python rules
RULES_JAVA = Path("/usr/share/bazel/rules/java")
# Tests that load no TensorFlow and take a second or two.
QUICK_TESTS = (
    "//tests:test_errors",
    "//tests:test_files",
    "//tests:test_names",
    "//tests/architecture:test_plan",
    "//tests/architecture:test_zoo",
    "//tests/metrics:test_dump",
    "//tests/metrics:test_run_fusion",
    "//tests/metrics:test_scores",
)

_VISIBLE = 'package(default_visibility = ["//visibility:public"])\n'
# Rules of C++ that Bazel's embedded tools load.
_CC_RULES = ("binary", "import", "library", "proto_library", "test", "toolchain", "toolchain_suite")
_OTHER_RULES = ("fdo_prefetch_hints", "fdo_profile", "objc_import", "objc_library")
_CC_STUBS = """
def _nothing(ctx):
    return [platform_common.TemplateVariableInfo({})]

cc_flags_supplier = rule(implementation = _nothing)
compiler_flag = rule(implementation = _nothing)
"""
_TOOLCHAIN = """load("@bazel_tools//tools/python:toolchain.bzl", "py_runtime_pair")

py_runtime(name = "python", interpreter_path = "{python}", python_version = "PY3")
py_runtime_pair(name = "pair", py3_runtime = ":python")
toolchain(
    name = "toolchain",
    toolchain = ":pair",
    toolchain_type = "@bazel_tools//tools/python:toolchain_type",
)
"""


class Workspace:
    """A copy of the repository that Bazel reads, with stubs of the repositories that it names.

    Attributes:
      root: the copy's folder.
    """

    def __init__(self, folder: Path):
        """Makes it in an empty folder.

        Raises:
          UserError: Bazel is not installed.
        """
        if not available():
            raise UserError(
                f"Bazel must be installed. Received: no {BAZEL} on PATH or no {RULES_JAVA}. "
                "On Debian: apt-get install bazel-bootstrap bazel-rules-java."
            )
        self.root, self._folder = folder / "repository", folder
        self.root.mkdir()
        for name in COPIED:
            _copy(REPOSITORY / name, self.root / name)
        stubs = _stubs((REPOSITORY / "requirements.txt").read_text(encoding="utf-8"))
        for name, text in stubs.items():
            path = folder / "stubs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        (self.root / "WORKSPACE").write_text(_workspace(folder / "stubs", sorted(stubs)))

    def bazel(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs one Bazel command; returns output and errors as text."""
        startup = [BAZEL, f"--output_user_root={self._folder / 'output'}", "--max_idle_secs=60"]
        return subprocess.run(
            [*startup, command, *arguments],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
        )

    def targets(self) -> list[str]:
        """Loads every package, and returns the labels of the Python targets.

        Raises:
          UserError: Bazel does not read a BUILD file.
        """
        query = 'kind("py_.*", //...)'
        done = self.bazel("query", query, "--experimental_repository_disable_download")
        return self._checked(done, "load every target").stdout.split()

    def analyse(self, *targets: str) -> None:
        """Has Bazel analyse targets: their dependencies are there and visible to them.

        Raises:
          UserError: they are not.
        """
        options = ("--nobuild", "--experimental_repository_disable_download")
        self._checked(self.bazel("build", *options, *targets), "analyse " + " ".join(targets))

    def test(self, *targets: str) -> list[str]:
        """Runs tests in Bazel's sandbox, and returns the labels of the passed ones.

        Raises:
          UserError: a test fails.
        """
        packages = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        options = ["--experimental_repository_disable_download", "--test_output=errors"]
        options += [f"--test_env=PYTHONPATH={os.pathsep.join(sorted(packages))}", "--test_env=CI"]
        done = self.bazel("test", *options, "--", *targets)
        self._checked(done, "pass tests in the sandbox")
        return re.findall(r"^(//\S+) .*\bPASSED\b", done.stdout + done.stderr, re.MULTILINE)

    def close(self) -> None:
        """Ends Bazel's server."""
        self.bazel("shutdown")

    def _checked(
        self, done: subprocess.CompletedProcess[str], what: str
    ) -> subprocess.CompletedProcess[str]:
        if done.returncode:
            lines = [line for line in (done.stderr + done.stdout).splitlines() if _tells(line)]
            raise UserError(
                f"Bazel must {what}. Received: {' | '.join(lines[:8])}. "
                "Run tools/update_build.py, or mend what it names."
            )
        return done


def available() -> bool:
    """Checks that this machine has Bazel and what it needs."""
    return bool(shutil.which(BAZEL)) and RULES_JAVA.is_dir()


@contextlib.contextmanager
def workspace(folder: Path | None = None) -> Iterator[Workspace]:
    """Yields a workspace in a folder of the caller's or a temporary one; its server ends with it."""
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bazel-")))
        made = Workspace(folder)
        stack.callback(made.close)
        yield made


def _tells(line: str) -> bool:
    return bool(re.match(r"ERROR|FAIL|//\S+ .*FAILED|E  |\w*Error: ", line))


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _stubs(requirements: str) -> dict[str, str]:
    """Returns the text of each file of the stub repositories, by path."""
    native = [f"cc_{rule}" for rule in _CC_RULES] + list(_OTHER_RULES)
    texts = {
        "rules_python/BUILD": _TOOLCHAIN.format(python=os.path.realpath(sys.executable)),
        "rules_python/python/BUILD": "",
        "rules_cc/BUILD": "",
        "rules_cc/cc/BUILD": "",
        "rules_cc/cc/defs.bzl": "".join(f"{rule} = native.{rule}\n" for rule in native) + _CC_STUBS,
        "remote_coverage_tools/BUILD": _VISIBLE
        + 'filegroup(name = "coverage_report_generator")\nfilegroup(name = "lcov_merger")\n',
    }
    for kind in ("py_binary", "py_library", "py_test"):
        texts[f"rules_python/python/{kind}.bzl"] = f"{kind} = native.{kind}\n"
    for line in requirements.splitlines():
        if match := re.match(r"[\w.-]+", line):
            name = re.sub(r"[-.]", "_", match[0]).lower()
            texts[f"pypi/{name}/BUILD"] = f'{_VISIBLE}py_library(name = "{name}")\n'
    for repository in sorted({path.split("/")[0] for path in texts}):
        texts[f"{repository}/WORKSPACE"] = ""
    return texts


def _workspace(folder: Path, paths: Sequence[str]) -> str:
    repositories = {path.split("/")[0]: str(folder / path.split("/")[0]) for path in paths}
    repositories["rules_java"] = str(RULES_JAVA)
    lines = [
        f'local_repository(name = "{name}", path = "{path}")' for name, path in repositories.items()
    ]
    register = 'register_toolchains("@rules_python//:toolchain")'
    return "\n".join(['workspace(name = "official_vision")', *lines, register, ""])


def main() -> None:
    """Checks all, and prints a line for each step."""
    with workspace() as made:
        print(f"{len(made.targets())} Python targets load", flush=True)
        made.analyse("//...")
        print("every target's dependencies are there and visible", flush=True)
        passed = made.test(*(flags.FLAGS.tests or QUICK_TESTS))
        print(f"{len(passed)} test files pass in the sandbox")


if __name__ == "__main__":
    flags.DEFINE_multi_string("tests", [], "Labels of tests to run in place of the quick ones.")
    cli.run(main)
