/* Run, Edit, Reset and Stop under each block that runs in the page, and Check
   under each exercise. Python itself is loaded when it is first wanted. */
let loaded = null;
function python() {
  loaded ??= import("./python.js").then((module) => {
    module.whenLost(() => Block.all.forEach((block) => (block.ran = false)));
    return module;
  });
  return loaded;
}
const warmUp = () => python().then(({ start }) => start());

const element = (tag, properties, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};
const sourceOf = (highlighted) => highlighted.querySelector("code").textContent.replace(/\n$/, "");

/* What a figure's block prints is a picture; whatever could act is taken out. */
function picture(text) {
  const parsed = new DOMParser().parseFromString(text, "text/html");
  for (const part of parsed.querySelectorAll("script, iframe, object, embed, link, style, base, meta")) part.remove();
  for (const part of parsed.querySelectorAll("*")) {
    for (const { name, value } of [...part.attributes]) {
      if (name.startsWith("on") || /^\s*(javascript|data):/i.test(value)) part.removeAttribute(name);
    }
  }
  return [...parsed.body.childNodes];
}

class Cell {
  constructor(highlighted, name) {
    this.highlighted = highlighted;
    this.name = name;
    this.source = sourceOf(highlighted);
    this.ran = false;
    this.space = "page";
    this.raises = highlighted.parentElement.dataset.raises;
    this.output = element("div", { className: "live-output", hidden: true });
    this.status = element("span", { className: "live-status" });
    this.status.setAttribute("role", "status");
    this.bar = element("div", { className: "live-bar" });
    this.button("Run", () => this.run()).addEventListener("pointerenter", warmUp, { once: true });
    this.stopButton = this.button("Stop", () => python().then(({ stop }) => stop()));
    this.editButton = this.button("Edit", () => this.edit());
    this.resetButton = this.button("Reset", () => this.reset());
    this.stopButton.hidden = this.resetButton.hidden = true;
    highlighted.after(this.bar, this.output);
    this.bar.append(this.status);
  }

  button(word, act) {
    const made = element("button", { type: "button", textContent: word, onclick: act });
    made.setAttribute("aria-label", `${word} ${this.name}`);
    this.bar.append(made);
    return made;
  }

  get code() {
    return this.editor ? this.editor.text : this.source;
  }

  async edit(focus = true) {
    const { edit } = await import("./editor.js");
    if (this.editor) return;
    const pre = this.highlighted.querySelector("pre");
    this.editor = edit(pre, `Code of ${this.name}`, () => this.run(), () => this.changed());
    this.editButton.hidden = true;
    this.resetButton.hidden = false;
    if (!focus) return;
    this.editor.focus();
    warmUp();
  }

  changed() {
    this.ran = false;
    this.status.textContent = "";
  }

  reset() {
    if (this.editor) this.editor.text = this.source;
    this.changed();
    this.show(null);
    this.resetButton.hidden = !this.editor;
    this.status.textContent = "As in the book.";
  }

  /* What the build printed stands in the page already. */
  get recorded() {
    const found = [];
    for (let next = this.output.nextElementSibling; next; next = next.nextElementSibling) found.push(next);
    return found;
  }

  show(parts) {
    this.output.hidden = parts === null;
    for (const part of this.recorded) part.hidden = parts !== null;
    this.output.replaceChildren(...(parts ?? []));
  }

  before() {
    return [];
  }

  static free() {
    Cell.busy = false;
    Block.all.find((block) => block.wanted)?.again();
  }

  async run() {
    if (Cell.busy) return;
    Cell.busy = true;
    this.bar.classList.add("running");
    this.stopButton.hidden = false;
    try {
      this.status.textContent = await this.runInOrder();
    } finally {
      this.stopButton.hidden = true;
      this.resetButton.hidden = false;
      this.bar.classList.remove("running");
      Cell.free();
    }
  }

  /* This cell, after the earlier ones that have not run; how it went, in words. */
  async runInOrder() {
    const { run } = await python();
    const earlier = this.before().filter((cell) => !cell.ran);
    const blocks = earlier.length === 1 ? "block" : "blocks";
    const said = earlier.length ? ` Ran ${earlier.length} earlier ${blocks} first.` : "";
    for (const cell of earlier) {
      this.status.textContent = `Running ${cell.name} first …`;
      const { error, stopped } = await cell.execute(run);
      if (!cell.ran) return `${cell.name} failed: ${stopped || error}.`;
    }
    this.status.textContent = "Running …";
    const result = await this.execute(run);
    return (result.stopped || this.verdict(result)) + said;
  }

  verdict(result) {
    if (this.raises && result.error === this.raises) return `${result.error}, as in the book.`;
    if (result.error) return `${result.error}.`;
    const expected = this.recorded.map((part) => part.textContent.trim()).join("\n");
    const same = this.output.textContent.trim() === expected;
    if (this.code !== this.source) return "Done.";
    return same ? "Done: the same as in the book." : "Done: not the same as in the book.";
  }

  /* Runs this cell alone and shows what it prints as it comes. */
  async execute(run, fresh = false) {
    const text = element("code");
    const pre = element("pre", {}, text);
    const drawn = this.highlighted.parentElement.dataset.output === "html";
    let printed = "";
    if (!drawn) this.show([pre]); // the last picture stays until the next is there
    const result = await run({ code: this.code, name: `<${this.name}>`, space: this.space, fresh }, (more) => {
      printed += more;
      text.textContent = drawn ? "" : printed;
    });
    this.ran = result.stopped ? false : !result.error || result.error === this.raises;
    if (drawn) this.show(this.ran ? picture(printed) : [pre]);
    if (result.value) text.append(result.value, "\n");
    if (result.error) {
      text.append(element("span", { className: "live-error", textContent: result.traceback }));
    }
    if (!text.textContent && !drawn) this.show([]);
    return result;
  }
}

/* A block of the page's text: blocks share variables, in their order. */
class Block extends Cell {
  static all = [];

  before() {
    const alone = "alone" in this.highlighted.parentElement.dataset;
    return alone ? [] : Block.all.slice(0, Block.all.indexOf(this));
  }
}

/* A block that a reader drives: `name=low:high:step` is a slider, `name=a|b` a
   choice. Each sets the line of the code that gives the name its first value.
   Its variables are its own: no other block sees what a reader chose. */
class Explorable extends Block {
  constructor(highlighted, name, explore) {
    super(highlighted, name);
    this.space = name;
    this.controls = new Map();
    const legend = element("legend", { textContent: "Change a value: the code runs again, here." });
    const field = element("fieldset", { className: "live-controls" }, legend);
    for (const part of explore.split(";")) {
      const [variable, range] = part.trim().split("=");
      field.append(this.control(variable, range));
    }
    this.bar.before(field);
  }

  control(variable, range) {
    const start = this.source.match(new RegExp(`^${variable} = ([^#\n]*?)\\s*(#.*)?$`, "m"))[1];
    const words = variable.replaceAll("_", " ");
    const told = element("output", { textContent: start, ariaLive: "off" }); // the slider says it too
    const [min, max, step] = range.split(":");
    const option = (word) => {
      const value = start.startsWith('"') ? `"${word}"` : word;
      return element("option", { value, selected: value === start }, word);
    };
    const made = range.includes("|")
      ? element("select", {}, ...range.split("|").map(option))
      : element("input", { type: "range", min, max, step, defaultValue: start });
    made.oninput = () => {
      told.textContent = made.value;
      this.wanted = true;
      if (!Cell.busy) this.again();
    };
    this.controls.set(variable, { made, told, start });
    made.setAttribute("aria-label", words);
    const label = element("label", {}, words, " ", made);
    if (made.type === "range") label.append(" ", told);
    return label;
  }

  get code() {
    let code = super.code;
    for (const [variable, { made }] of this.controls ?? []) {
      code = code.replace(new RegExp(`^${variable} = .*$`, "m"), () => `${variable} = ${made.value}`);
    }
    return code;
  }

  /* For the last change; what changes while a cell runs waits for its end. */
  again() {
    this.wanted = false;
    return this.run();
  }

  reset() {
    this.wanted = false;
    for (const { made, told, start } of this.controls.values()) made.value = told.textContent = start;
    super.reset();
  }
}

/* What later blocks may use of a block that cannot run here. */
class Rest {
  constructor(code, name) {
    Object.assign(this, { code, name, ran: false });
  }

  async execute(run) {
    const result = await run({ code: this.code, name: `<${this.name}>`, space: "page" }, () => {});
    this.ran = !result.error && !result.stopped;
    return result;
  }
}

/* A starter that can be checked, or a solution: each has variables of its own,
   and what a reader wrote stays in this browser. */
class Exercise extends Cell {
  constructor(highlighted, name, check) {
    super(highlighted, name);
    this.space = name;
    this.check = check;
    this.key = `book ${location.pathname} ${name}`;
    if (!check) return;
    const button = this.button("Check", () => this.run(true));
    this.editButton.after(button);
    this.bar.append(this.status);
  }

  get recorded() {
    return []; // the page has no output of an exercise
  }

  restore() {
    const kept = localStorage.getItem(this.key);
    if (kept === null) return;
    this.editor.text = kept;
    this.status.textContent = "What you wrote last time.";
  }

  changed() {
    super.changed();
    if (this.check) localStorage.setItem(this.key, this.editor.text);
  }

  reset() {
    super.reset();
    localStorage.removeItem(this.key);
  }

  async execute(run) {
    return super.execute(run, true);
  }

  async run(checked = false) {
    await super.run();
    if (checked !== true || !this.ran) return;
    const { run } = await python();
    Cell.busy = true;
    const result = await run({ code: this.check, name: `<check of ${this.name}>`, space: this.space }, () => {});
    Cell.free();
    this.status.textContent = result.stopped || this.words(result);
  }

  words({ error, message }) {
    if (!error) return "Right: the check passes.";
    if (error === "AssertionError") return `Not yet: ${message || "the check fails"}`;
    return `The check stopped: ${error}: ${message}`;
  }

  verdict(result) {
    return result.error ? `${result.error}.` : "Done.";
  }
}

function explain(block) {
  const how = element("a", { href: new URL("../how-to-run/", import.meta.url), textContent: "copy of the book" });
  const words = element("span", { className: "live-status" }, `Needs ${block.dataset.needs}: run it in a `, how, ".");
  block.querySelector(".highlight").after(element("div", { className: "live-bar" }, words));
}

function findExercises() {
  let count = 0;
  for (const title of document.querySelectorAll(".highlight > .filename")) {
    if (title.textContent !== "Starter") continue;
    count += 1;
    const starter = title.parentElement;
    let place = starter.nextElementSibling;
    const answers = {};
    while (place && !/^H[1-3]$/.test(place.tagName)) {
      for (const kind of ["question", "success"]) {
        if (place.matches?.(`details.${kind}`)) answers[kind] = place.querySelector(".language-python.highlight");
      }
      place = place.nextElementSibling;
    }
    const exercise = new Exercise(starter, `exercise ${count}`, answers.question && sourceOf(answers.question));
    exercise.edit(false).then(() => exercise.restore());
    if (answers.success) new Exercise(answers.success, `solution ${count}`, null);
  }
}

document.querySelectorAll(".live, [data-needs]").forEach((block, place) => {
  const name = `block ${place + 1}`;
  const { needs, rest, explore } = block.dataset;
  const highlighted = block.querySelector(".language-python.highlight");
  if (explore) Block.all.push(new Explorable(highlighted, name, explore));
  else if (!needs) Block.all.push(new Block(highlighted, name));
  if (rest) Block.all.push(new Rest(rest, `the NumPy part of ${name}`));
  if (needs) explain(block);
});
findExercises();

const forget = document.getElementById("forget");
if (forget) {
  forget.hidden = false;
  forget.onclick = () => {
    Object.keys(localStorage).filter((key) => key.startsWith("book ")).forEach((key) => localStorage.removeItem(key));
    forget.textContent = "Cleared";
  };
}
