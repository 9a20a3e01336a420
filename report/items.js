"use strict";
// The item browser. Everything shown is set as text, never as HTML: models wrote most of it.
const data = JSON.parse(document.getElementById("data").textContent);
const PAGE_SIZE = 50;
const MARKS = { right: "✓", partly: "◐", wrong: "✗", none: "–" };
const byId = (id) => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

for (const item of data.items) {
  item.shares = item.answers.map((one) => (one ? one.right / one.count : null));
  item.verdicts = item.shares.map((share) =>
    share === null ? "none" : share === 1 ? "right" : share === 0 ? "wrong" : "partly");
}

// Controls, each with the test that it sets; an empty value lets everything pass.
const controls = [];

function control(name, element, test) {
  element.id = name;
  controls.push({ name, element, test });
  return element;
}

function choice(name, label, options, test) {
  const select = make("select");
  for (const [value, text] of options) select.append(make("option", { value, textContent: text }));
  byId("filters").append(make("label", {}, label, control(name, select, test)));
}

const distinct = (values) => [...new Set(values)];
const named = (values) => [["", "all"], ...values.map((value) => [String(value), String(value)])];
const levels = distinct(data.items.map((item) => item.level)).filter((level) => level !== null);
choice("benchmark", "Benchmark", named(distinct(data.items.map((item) => item.benchmark))),
  (item, value) => item.benchmark === value);
choice("family", "Family or subject", named(distinct(data.items.map((item) => item.family)).sort()),
  (item, value) => item.family === value);
choice("level", "Level", named(levels.sort((a, b) => a - b)),
  (item, value) => String(item.level) === value);
data.policies.forEach((policy, index) =>
  choice(`policy${index}`, policy,
    [["", "any answer"], ["right", "right"], ["partly", "partly right"], ["wrong", "wrong"]],
    (item, value) => item.verdicts[index] === value));
const CHANGES = {
  changed: (before, after) => before !== after,
  better: (before, after) => before < after,
  worse: (before, after) => before > after,
};
if (data.policies.length > 1) {
  const policies = data.policies.map((policy, index) => [String(index), policy]);
  choice("from", "Change from", policies, () => true);
  choice("to", "Change to", policies, () => true);
  choice("change", "Change", [["", "any or none"], ["changed", "any change"],
    ["better", "better"], ["worse", "worse"]], (item, value) => {
    const [before, after] = [item.shares[byId("from").value], item.shares[byId("to").value]];
    return before !== null && after !== null && CHANGES[value](before, after);
  });
  byId("to").lastChild.defaultSelected = true;
  byId("from").firstChild.defaultSelected = true;
}
byId("filters").append(make("label", {}, "Search", control("search",
  make("input", { type: "search", placeholder: "question, answers, id" }),
  (item, value) => haystack(item).includes(value))));
byId("filters").append(make("button", { type: "reset", textContent: "Clear" }));

function haystack(item) {
  item.text ??= [item.id, item.question, item.reference,
    ...item.answers.flatMap((one) => (one ? one.shown.map((answer) => answer.text) : []))]
    .join("\n").toLowerCase();
  return item.text;
}

// What is searched is made in short pauses after the page has opened: all at once, it would keep
// the first search waiting.
let numPrepared = 0;
const whenIdle = window.requestIdleCallback ?? setTimeout;
function prepare() {
  const end = performance.now() + 8;
  while (numPrepared < data.items.length && performance.now() < end) {
    haystack(data.items[numPrepared++]);
  }
  if (numPrepared < data.items.length) whenIdle(prepare);
}

let matching = [];
let page = 0;
let current = null;

function filter() {
  const active = controls.filter((one) => one.element.value !== "")
    .map((one) => [one.test, one.name === "search" ? one.element.value.toLowerCase()
      : one.element.value]);
  matching = data.items.filter((item) => active.every(([test, value]) => test(item, value)));
  byId("count").textContent = `${matching.length} of ${data.items.length} items`;
}

function showList() {
  const last = Math.max(0, Math.ceil(matching.length / PAGE_SIZE) - 1);
  page = Math.min(Math.max(page, 0), last);
  byId("list").replaceChildren(...matching.slice(page * PAGE_SIZE, (page + 1) * PAGE_SIZE).map(row));
  byId("position").textContent = `page ${page + 1} of ${last + 1}`;
  byId("previous").disabled = page === 0;
  byId("next").disabled = page === last;
  byId("list").scrollTop = 0;
}

function row(item) {
  const marks = make("span", { className: "marks" });
  item.verdicts.forEach((verdict, index) => marks.append(make("span",
    { className: tone(verdict), title: `${data.policies[index]}: ${verdict}` }, MARKS[verdict])));
  const level = item.level === null ? "" : `, level ${item.level}`;
  const about = make("span", { className: "muted" }, `${item.benchmark}: ${item.family}${level}`);
  const start = make("span", { className: "start" }, item.start ?? item.question.slice(0, 120));
  const button = make("button", { type: "button" }, marks, about, start);
  button.item = item;
  button.setAttribute("aria-label", `${item.id}: ` +
    item.verdicts.map((verdict, index) => `${data.policies[index]} ${verdict}`).join(", "));
  if (item === current) button.setAttribute("aria-current", "true");
  return make("li", {}, button);
}

const tone = (verdict) => ({ right: "good", none: "muted", partly: "partly" })[verdict] ?? "bad";

const nameOf = (item) => `${item.benchmark} ${item.id}`;
// Which of the items of one name it is: one that was asked in two ways is two.
const numAlike = new Map();
for (const item of data.items) {
  item.way = (numAlike.get(nameOf(item)) ?? 0) + 1;
  numAlike.set(nameOf(item), item.way);
}
const addressOf = (item) => new URLSearchParams(
  { item: nameOf(item), ...(item.way > 1 ? { way: item.way } : {}) });

function showItem(item) {
  current = item;
  for (const button of byId("list").querySelectorAll("button")) {
    if (button.item === item) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
  byId("item").replaceChildren();
  if (!item) return;
  const level = item.level === null ? "" : `, level ${item.level}`;
  byId("item").append(
    make("h2", {}, item.id),
    make("p", { className: "muted" }, `${item.benchmark}: ${item.family}${level}`),
    ...(item.page ? [make("p", {}, make("a", { href: `${item.page}#${addressOf(item)}` },
      "This item with more room for its answers"))] : []),
    ...item.images.map((index, number) => make("img",
      { src: data.images[index], alt: `Image ${number + 1} of this problem` })),
    ...(item.image_note ? [make("p", { className: "muted" }, item.image_note)] : []),
    make("pre", {}, item.question),
    make("p", {}, "Reference answer: ", make("strong", {}, item.reference)),
    make("div", { className: "responses" }, ...data.policies.map((policy, index) =>
      answers(policy, item.verdicts[index], item.answers[index]))));
}

function answers(policy, verdict, given) {
  const box = make("div", { className: "response" });
  const title = make("h3", {}, `${policy} `);
  box.append(title);
  if (!given) {
    title.append(make("span", { className: "muted" }, "not asked this"));
    return box;
  }
  if (given.count > 1) {
    title.append(make("span", { className: `outcome ${tone(verdict)}` },
      `${given.right} of ${given.count} right`));
  }
  for (const answer of given.shown) {
    const tokens = answer.tokens === null ? "" : `, ${answer.tokens} tokens`;
    const place = given.count > 1 ? `${answer.number} of ${given.count}: ` : "";
    const facts = make("p", { className: tone(answer.outcome) },
      `${place}${answer.outcome}${tokens}${answer.truncated ? ", truncated" : ""}` +
      (answer.note ? ` (${answer.note})` : ""));
    box.append(facts, make("pre", { tabIndex: 0 }, answer.text.trim() ? answer.text : "(blank)"));
  }
  const hidden = given.count - given.shown.length;
  if (hidden > 0) box.append(make("p", { className: "muted" }, `${hidden} more not shown`));
  return box;
}

// The address holds the filters and the item: a view can be sent to somebody, or reloaded.
function remember() {
  const state = new URLSearchParams();
  for (const { name, element } of controls) if (element.value) state.set(name, element.value);
  if (page) state.set("page", page + 1);
  if (current) addressOf(current).forEach((value, name) => state.set(name, value));
  history.replaceState(null, "", `#${state}`);
}

function recall() {
  const state = new URLSearchParams(location.hash.slice(1));
  for (const { name, element, initial } of controls) element.value = state.get(name) ?? initial;
  filter();
  page = (Number.parseInt(state.get("page"), 10) || 1) - 1;
  showList();
  const [wanted, way] = [state.get("item"), Number(state.get("way") ?? 1)];
  showItem(data.items.find((item) => nameOf(item) === wanted && item.way === way) ?? matching[0]);
}

function apply() {
  filter();
  page = 0;
  showList();
  showItem(matching[0]);
  remember();
}

function turn(step) {
  page += step;
  showList();
  remember();
}

function move(button, step) {
  let next = (step > 0 ? button.parentNode.nextSibling : button.parentNode.previousSibling);
  if (!next && (page + step) >= 0 && (page + step) * PAGE_SIZE < matching.length) {
    turn(step);
    next = step > 0 ? byId("list").firstChild : byId("list").lastChild;
  }
  if (!next) return;
  next.firstChild.focus();
  showItem(next.firstChild.item);
  remember();
}

// What an address does not name is as it was at first, whatever this page has shown since.
for (const one of controls) one.initial = one.element.value;

let waiting = 0;
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").addEventListener("reset", () => setTimeout(apply));
byId("filters").addEventListener("change", apply);
byId("search").addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(apply, 60);
});
byId("previous").addEventListener("click", () => turn(-1));
byId("next").addEventListener("click", () => turn(1));
byId("list").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  showItem(button.item);
  remember();
  // On a narrow screen the item stands below the list.
  const [item, list] = [byId("item"), byId("list")].map((one) => one.getBoundingClientRect());
  if (item.top >= list.bottom) byId("item").scrollIntoView();
});
byId("list").addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || !event.target.item) return;
  event.preventDefault();
  move(event.target, step);
});
addEventListener("hashchange", recall);
recall();
whenIdle(prepare);
