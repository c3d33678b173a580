"""Which blocks run in the page, and what travels along."""

import ast
import io
import subprocess
import sys
import zipfile

import pytest

from hooks.live_blocks import Names, plans
from hooks.live_package import contents, on_post_build

TORCH = (
    "import numpy as np\nimport torch\nx = torch.ones(2)\ny = np.ones(2)"
)


def names(code: str) -> tuple[set[str], set[str]]:
    found = Names()
    found.visit(ast.parse(code))
    return found.taken, found.made


@pytest.mark.parametrize(
    "code, taken, made",
    [
        ("a = b", {"b"}, {"a"}),
        ("a = 1\nb = a", set(), {"a", "b"}),
        ("a = a + 1", {"a"}, {"a"}),
        ("a += 1", {"a"}, {"a"}),
        ("a: int = a", {"a", "int"}, {"a"}),
        ("for a, b in c:\n    d = a", {"c"}, {"a", "b", "d"}),
        ("[a for a in b if a]", {"b"}, set()),
        ("{a: c for a in b}", {"b", "c"}, set()),
        ("f = lambda a: a + b", {"b"}, {"f"}),
        ("def f(a, b=c):\n    d = a\n    return d + e", {"c", "e"}, {"f"}),
        ("@g\ndef f():\n    return f()", {"g"}, {"f"}),
        ("class A(B):\n    a = 1\n    b = a + c", {"B", "c"}, {"A"}),
        ("import a.b\nfrom c import d as e", set(), {"a", "e"}),
        ("(a := b)", {"b"}, {"a"}),
        ("a[b] = c", {"a", "b", "c"}, set()),
    ],
)
def test_what_code_takes_and_makes(code, taken, made):
    assert names(code) == (taken, made)


def test_a_block_that_uses_what_torch_made_is_not_live():
    found = plans([(TORCH, ""), ("print(y)", ""), ("print(x)", "")])
    assert [plan.needs for plan in found] == ["PyTorch", "", "PyTorch"]
    assert found[0].rest == "import numpy as np\ny = np.ones(2)"


def test_a_name_made_again_is_there_again():
    again = ("x = 1\nprint(x)", "")
    assert [p.needs for p in plans([(TORCH, ""), again])][1] == ""


def test_random_numbers_after_a_draw_that_is_left_out_are_not_live():
    blocks = [
        ("import numpy as np\nrng = np.random.default_rng(0)", ""),
        ("import torch\na = torch.tensor(rng.normal())", ""),
        ("print(rng.normal())", ""),
        ("rng = np.random.default_rng(1)\nprint(rng.normal())", ""),
    ]
    told = [plan.needs for plan in plans(blocks)]
    assert told == ["", "PyTorch", "PyTorch", ""]


def test_what_a_left_out_statement_changes_in_place_is_not_live():
    blocks = [
        ("a, b = {}, []", ""),
        ("import torch\nb.append(torch.ones(1))", ""),
        ("import torch\nfor i in range(2):\n    a[i] = torch.ones(i)", ""),
        ("print(b)", ""),
        ("print(a)", ""),
    ]
    told = [plan.needs for plan in plans(blocks)]
    assert told == ["", *["PyTorch"] * 4]


def test_what_a_block_changes_in_place_goes_along_but_not_what_it_prints():
    code = "import torch\na = []\na.append(1)\nprint(a, torch.ones(1))"
    (plan,) = plans([(code, "")])
    assert plan.rest == "a = []\na.append(1)"


def test_a_block_that_says_what_it_needs_takes_along_its_imports_only():
    blocks = [
        ("import numpy as np\na = np.ones(2)", "", "the same rounding"),
        ("print(np.ones(2))", ""),
        ("print(a)", ""),
    ]
    first, free, bound = plans(blocks)
    assert first.rest == "import numpy as np"
    assert [first.needs, free.needs, bound.needs] == [
        "the same rounding",
        "",
        "the same rounding",
    ]


def test_a_block_on_shapes_leaves_what_it_made_before_it_failed():
    code = "a = 1\nprint(a)\nprint(f(a))"
    (plan,) = plans([(code, "TypeCheckError")])
    assert plan.rest == "a = 1"


def test_the_statement_that_must_fail_does_not_go_along():
    (plan,) = plans([("import torch\na = 1\nf(a)", "ValueError")])
    assert plan.rest == "a = 1"


def test_blocks_about_the_check_of_shapes_are_not_live():
    told = plans(
        [
            ("f(1)", "TypeCheckError"),
            ("f(1)", "ValueError"),
            ("from jaxtyping import TypeCheckError", ""),
        ]
    )
    assert [p.needs for p in told] == [
        "checked shapes",
        "",
        "checked shapes",
    ]


def test_a_module_that_imports_torch_far_away_is_found():
    (plan,) = plans([("from snippets.rnn import unrolling_torch", "")])
    assert plan.needs == "PyTorch"


def test_the_package_for_the_page_imports_without_torch(tmp_path):
    """In a Python that has NumPy, and no jaxtyping, beartype or torch."""
    packed = contents()
    assert "snippets/rnn/characters.npz" in packed
    assert not any("_torch" in name for name in packed)
    for name, data in packed.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    modules = [
        name.removesuffix(".py").replace("/", ".")
        for name in packed
        if name.endswith(".py") and "__init__" not in name
    ]
    blocked = "for m in 'torch', 'beartype': sys.modules[m] = None"
    code = f"import sys\n{blocked}\n"
    code += "\n".join(f"import {module}" for module in modules)
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        check=True,
    )


def test_the_package_has_the_same_bytes_each_time(tmp_path):
    class Config:
        site_dir = str(tmp_path)

    (tmp_path / "pyodide").mkdir()
    archive = tmp_path / "pyodide/book.zip"
    made = []
    for _ in range(2):
        on_post_build(Config())
        made.append(archive.read_bytes())
    assert made[0] == made[1]
    with zipfile.ZipFile(io.BytesIO(made[0])) as stored:
        assert stored.namelist() == sorted(contents())
