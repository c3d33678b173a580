// node derive.mjs OFFICIAL OUT (absolute folders): the standard library and
// NumPy as published for Pyodide, compiled by Pyodide itself, so that a page's
// Python starts sooner. The same input gives the same bytes; vendored.json has
// the sums of both. OFFICIAL: the files of the npm package `pyodide` of that
// version, and the NumPy wheel that its pyodide-lock.json names.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const [official, out] = process.argv.slice(2);
const WHEEL = "numpy-2.0.2-cp312-cp312-pyodide_2024_0_wasm32.whl";
const { loadPyodide } = createRequire(import.meta.url)(`${official}/pyodide.js`);
const python = await loadPyodide({ indexURL: `${official}/` });
for (const name of ["python_stdlib.zip", WHEEL]) {
  python.FS.writeFile(`/${name}`, readFileSync(`${official}/${name}`));
}
python.globals.set("WHEEL", WHEEL);
python.runPython(`
import importlib._bootstrap_external as bootstrap
import importlib.util, re, zipfile

# NumPy's tests, headers and build tools. _multiarray_tests stays: numpy needs it.
UNUSED = re.compile(
    r".*(\\.pyi|\\.pxd|\\.h|\\.a|\\.pc|\\.ini|\\.typed)$|.*/tests/.*"
    r"|numpy/(f2py|distutils|_pyinstaller)/.*"
    r"|numpy/_core/_(umath_tests|rational_tests|struct_ufunc_tests|operand_flag_tests|simd)\\."
    r"|numpy/_core/(include|lib)/|numpy/random/(lib|_examples|include)/"
    r"|.*dist-info/(RECORD|entry_points)"
)

def compile_all(source, target, place, unused=re.compile("(?!)")):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new:
        for entry in sorted(old.infolist(), key=lambda entry: entry.filename):
            name = entry.filename
            if entry.is_dir() or unused.match(name):
                continue
            data = old.read(entry)
            if name.endswith(".py"):
                code = compile(data, place + name, "exec", dont_inherit=True, optimize=0)
                # a hash that is not checked: no time stamps
                data = bootstrap._code_to_hash_pyc(code, importlib.util.source_hash(data), False)
                name += "c"
            made = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            made.external_attr = 0o644 << 16
            new.writestr(made, data, zipfile.ZIP_DEFLATED, 9)

compile_all("/python_stdlib.zip", "/std-pyc.zip", "/lib/python312.zip/")
compile_all("/" + WHEEL, "/numpy-trim-pyc.whl", "/lib/python3.12/site-packages/", UNUSED)
`);
for (const name of ["std-pyc.zip", "numpy-trim-pyc.whl"]) writeFileSync(`${out}/${name}`, python.FS.readFile(`/${name}`));
const { info, packages } = JSON.parse(readFileSync(`${official}/pyodide-lock.json`));
const lock = { info, packages: { numpy: { ...packages.numpy, depends: [] } } };
writeFileSync(`${out}/lock-min.json`, JSON.stringify(lock));
