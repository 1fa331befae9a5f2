from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudops.runtime.command import placeholders, render
from cloudops.runtime.errors import Problem
from cloudops.runtime.names import variable

# Where bash is /bin/sh, it runs in its POSIX mode.
SHELLS = [["/bin/sh"], *([[bash, "--posix"]] if (bash := shutil.which("bash")) else [])]
HAZARDS = [
    "plain",
    "",
    " ",
    "two  spaces ",
    "it's",
    '"quoted"',
    "$HOME ${HOME} $(id) `id`",
    "a;b|c&d>e<f",
    "-n",
    "--help",
    "line\nbreak\n",
    "\ttab\r",
    "back\\slash\\",
    "*?[a]~{1,2}!#",
    "größe 漢字 🎉",
    "'\"'\"'",
    "%s\\n\\0",
    "${{params.b}}",
]
values = st.one_of(
    st.sampled_from(HAZARDS),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
    st.text("'\"$`\\ \n;#(){}*&|<>-", max_size=12),
)


def shell_of(template: str) -> str:
    return render(template, lambda group, name: variable(group[:-1].upper(), name))


def arguments(shell: list[str], template: str, **params: str) -> list[str]:
    """What `show ARGS...` in the template got as its arguments, through a real shell."""
    text = "show() { printf '%s\\0' \"$@\"; }\n" + shell_of(template)
    env = {variable("PARAM", name): value for name, value in params.items()}
    result = subprocess.run([*shell, "-c", text], env=env, capture_output=True, timeout=20, check=True)
    assert result.stderr == b""
    return result.stdout.decode().split("\0")[:-1]


# Template, and what its arguments are when the parameter `a` is `A` and `b` is `B`.
CONTEXTS = [
    ("show ${{params.a}} ${{ params.b }}", ["A", "B"]),
    ("show x${{params.a}}y", ["xAy"]),
    ("show ${{params.a}}${{params.b}}", ["AB"]),
    ('show "x ${{params.a}} y"', ["x A y"]),
    ("show 'x ${{params.a}} y'", ["x A y"]),
    ("show 'x '\"'${{params.a}}'\"", ["x 'A'"]),
    ('show "it\'s" ${{params.a}} "\'"', ["it's", "A", "'"]),
    ("show \\' ${{params.a}} \\\"", ["'", "A", '"']),
    ('show "\\"" "${{params.a}}" \'"\' ${{params.b}}', ['"', "A", '"', "B"]),
    ("show '\\' ${{params.a}}", ["\\", "A"]),
    ("show a\\\\${{params.a}}", ["a\\A"]),
    ("show '\\${{params.a}}'", ["\\A"]),
    ("show one # it's ${{params.a}}\nshow ${{params.a}}", ["one", "A"]),
    ("show a#b' ${{params.a}}'", ["a#b A"]),
    ("show one \\\n  ${{params.a}}", ["one", "A"]),
    ("( show ${{params.a}} ) && { show '${{params.b}}'; }", ["A", "B"]),
    ('show "${NONE:-${{params.a}}}"', ["A"]),
    ("show ${NONE:-${{params.a}}}", ["A"]),
    ('show "${NONE:-it\'s ${{params.a}}}" ${{params.b}}', ["it's A", "B"]),
    ("case x in x) show ${{params.a}};; esac", ["A"]),
    ("if true; then show ${{params.a}}; fi", ["A"]),
    ("for each in ${{params.a}} '${{params.b}}'; do show \"$each\"; done", ["A", "B"]),
    ('X=${{params.a}}; show "$X"', ["A"]),
    ("show 'a' <<'END'\nit's\nEND\nshow ${{params.a}}", ["a", "A"]),
]
SUBSTITUTIONS = [
    'show "$(printf %s. ${{params.a}})"',
    'show "$(printf %s. "${{params.a}}")"',
    "show \"$(printf %s. '${{params.a}}')\"",
    'show "$( (printf %s. ${{params.a}}) )"',
    'show "$(printf %s. "$(printf %s ${{params.a}}.)")"',
    'show "`printf %s. ${{params.a}}`"',
    "show \"`printf %s. '${{params.a}}'`\"",
    'show "`printf %s. \\"${{params.a}}\\"`"',
    'X=`printf %s. ${{params.a}}`; show "$X"',
    'show "$(cat <<END\n${{params.a}}.\nEND\n)"',
    'show "$(cat <<-END_1\n\t${{params.a}}.\n\tEND_1\n)"',
]


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize(("template", "expected"), CONTEXTS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(a=values, b=values)
def test_a_value_arrives_unchanged(shell: list[str], template: str, expected: list[str], a: str, b: str) -> None:
    wanted = [text.replace("A", "\0").replace("B", b).replace("\0", a) for text in expected]
    assert arguments(shell, template, a=a, b=b) == wanted


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize("template", SUBSTITUTIONS)
@settings(max_examples=15, deadline=None)
@given(a=values)
def test_a_value_arrives_unchanged_through_a_substitution(shell: list[str], template: str, a: str) -> None:
    (argument,) = arguments(shell, template, a=a)
    assert argument.rstrip(".") == a.rstrip(".")


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_arithmetic(shell: list[str]) -> None:
    assert arguments(shell, 'show $(( (${{params.a}} + 1) * 2 )) "$((${{params.a}}<<2))" ${{params.a}}', a="3") == [
        "8",
        "12",
        "3",
    ]


@pytest.mark.parametrize("value", HAZARDS)
def test_redirection_into_a_file_named_by_a_value(value: str, tmp_path) -> None:
    text = shell_of('cd ${{params.dir}} && echo hello > "log of ${{params.who}}.txt"')
    name = f"log of {value}.txt".replace("/", "_")
    env = {"CLOUDOPS_PARAM_DIR": str(tmp_path), "CLOUDOPS_PARAM_WHO": value.replace("/", "_")}
    subprocess.run(["/bin/sh", "-c", text], env=env, check=True)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_shell_text_never_holds_a_value() -> None:
    assert shell_of("python a.py --x ${{params.x}}") == 'python a.py --x "${CLOUDOPS_PARAM_X}"'


def test_placeholders() -> None:
    template = "a ${{inputs.train}} '${{ outputs.data }}' ${{params.lr}} $HOME ${x}"
    assert placeholders(template) == [("inputs", "train"), ("outputs", "data"), ("params", "lr")]
    assert placeholders("nothing") == []


@pytest.mark.parametrize("inside", ["train.model", "params", "params.", "", "PARAMS.x"])
def test_a_placeholder_of_another_form(inside: str) -> None:
    with pytest.raises(Problem, match="a placeholder is"):
        placeholders(f"run ${{{{{inside}}}}}")


@pytest.mark.parametrize(
    "template",
    [
        "show \\${{params.a}}",
        'show "\\${{params.a}}"',
        "cat <<'END'\n${{params.a}}\nEND",
        "cat <<END\n\\${{params.a}}\nEND",
    ],
)
def test_a_placeholder_where_the_shell_would_not_fill_it_in(template: str) -> None:
    with pytest.raises(Problem, match=r"backslash|delimiter is quoted"):
        shell_of(template)


@settings(max_examples=300, deadline=None)
@given(st.text("ab'\"`$(){}\\\n# <-E", max_size=40))
def test_text_without_placeholders_is_left_alone(template: str) -> None:
    assert shell_of(template) == template
