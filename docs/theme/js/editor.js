/* A textarea over the highlighted code: undo, input methods and screen readers
   are the browser's own. Esc, then Tab, leaves it. */
const KEYWORDS = new Set(
  ("False None True and as assert async await break class continue def del elif else except finally for " +
    "from global if import in is lambda nonlocal not or pass raise return try while with yield").split(" "),
);
const TOKEN =
  /(#.*)|([rbfuRBFU]{0,2}(?:"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?))|(\b\d[\w.]*)|([A-Za-z_]\w*)/g;

/* The theme's colours for the classes of the highlighted blocks. */
function highlight(text, code) {
  code.textContent = "";
  let last = 0;
  const add = (part, name) => {
    const span = document.createElement("span");
    span.className = name;
    span.textContent = part;
    code.append(span);
  };
  for (const found of text.matchAll(TOKEN)) {
    const [word, comment, string, number, name] = found;
    const kind = comment ? "c1" : string ? "s2" : number ? "mi" : KEYWORDS.has(name) ? "k" : "n";
    code.append(text.slice(last, found.index));
    add(word, kind);
    last = found.index + word.length;
  }
  code.append(text.slice(last) + "\n"); // as high as the textarea
}

function onKey(event, area, state, run) {
  if (event.isComposing) return;
  const leaving = state.escaped;
  state.escaped = event.key === "Escape";
  const { selectionStart: from, selectionEnd: to, value } = area;
  const line = value.lastIndexOf("\n", from - 1) + 1;
  const put = (text, start = from, end = to) => {
    area.setSelectionRange(start, end);
    document.execCommand(text ? "insertText" : "delete", false, text); // keeps undo
  };
  if (event.key === "Enter" && (event.shiftKey || event.ctrlKey || event.metaKey)) {
    run();
  } else if (event.key === "Enter") {
    const before = value.slice(line, from);
    const indent = before.match(/^\s*/)[0] + (/:\s*(#.*)?$/.test(before) ? "    " : "");
    put("\n" + indent);
  } else if (event.key === "Tab" && !leaving) {
    if (from === to && !event.shiftKey) put(" ".repeat(4 - ((from - line) % 4)));
    else {
      const next = value.indexOf("\n", value[to - 1] === "\n" && to > from ? to - 1 : to);
      const end = next < 0 ? value.length : next;
      const lines = value.slice(line, end);
      const moved = event.shiftKey ? lines.replace(/^ {1,4}/gm, "") : lines.replace(/^(?=.)/gm, "    ");
      if (moved !== lines) put(moved, line, end);
      area.setSelectionRange(line, line + moved.length);
    }
  } else return;
  event.preventDefault();
}

/* Makes the <pre><code> editable; `text` has what stands there. */
export function edit(pre, name, run, changed) {
  const code = pre.querySelector("code");
  const area = document.createElement("textarea");
  const state = { escaped: false };
  area.value = code.textContent.replace(/\n$/, "");
  area.spellcheck = false;
  area.autocapitalize = area.autocomplete = "off";
  area.setAttribute("aria-label", `${name}. Escape, then Tab, leaves the editor.`);
  area.addEventListener("keydown", (event) => onKey(event, area, state, run));
  area.addEventListener("scroll", () => (code.scrollLeft = area.scrollLeft));
  area.addEventListener("input", () => {
    highlight(area.value, code);
    changed(area.value);
  });
  pre.classList.add("edited");
  pre.append(area);
  code.setAttribute("aria-hidden", "true");
  highlight(area.value, code);
  return {
    get text() {
      return area.value;
    },
    set text(value) {
      area.value = value;
      highlight(value, code);
    },
    focus: () => area.focus(),
  };
}
