// The explorer: what the address names behind "#" is asked of the HTTP interface and shown.
// Titles and sentences come from shops and language models: they become text nodes, never markup.

const view = document.getElementById("view");
const words = document.getElementById("words");
const what = document.getElementById("what");
let asked = 0;

function make(tag, properties, ...children) {
  const found = Object.assign(document.createElement(tag), properties);
  found.append(...children.filter((child) => child !== null));
  return found;
}

const link = (hash, text) => make("a", { href: `#${hash}` }, text);
const soft = (...children) => make("span", { className: "soft" }, ...children);
const share = (value) => value.toFixed(2);
const itemHash = (sku) => `item/${encodeURIComponent(sku)}`;
const purposeHash = (id) => `purpose/${encodeURIComponent(id)}`;

async function ask(path, parameters = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== ""));
  const answer = await fetch(`${path}?${query}`);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail ?? answer.statusText);
  return body;
}

async function showSnapshot() {
  const snapshot = await ask("/v1/snapshot");
  const claim = document.getElementById("claim");
  claim.className = snapshot.is_certified ? "certified" : "";
  claim.textContent = `${snapshot.is_certified ? "Certified" : "Not certified"}: ${snapshot.claim}.`;
  document.getElementById("snapshot").textContent =
    `snapshot ${snapshot.snapshot_id}, commit ${snapshot.sequence}, ${snapshot.created_at}: ` +
    `${snapshot.counts.skus.toLocaleString("en")} products, ${snapshot.counts.edges.toLocaleString("en")} edges`;
}

// Views: each one returns what stands in the middle of the page.

async function start() {
  const { rationales, total } = await ask("/v1/rationales", { limit: 60 });
  const chips = rationales.map((one) => link(purposeHash(one.rationale_id), one.rationale));
  return [
    make("h1", {}, "What do shoppers want it for?"),
    soft(`The purposes that most kinds of products serve, ${rationales.length} of ${total}.`),
    make("p", { className: "chips" }, ...chips),
  ];
}

const SEARCHED = { purpose: 10, kind: 20, product: 100 };

async function search(text, only) {
  const found = await Promise.all((only ? [only] : Object.keys(SEARCHED)).map((one) => section(text, one, only)));
  return found.some((one) => one) ? found.filter((one) => one) : [make("p", {}, `Nothing has “${text}” in its name.`)];
}

async function section(text, one, only) {
  const { hits } = await ask("/v1/search", { q: text, what: one, limit: SEARCHED[one] });
  const shown = only ? hits : varied(hits);
  return shown.length ? make("section", {}, make("h2", {}, `${one}s`), make("ul", {}, ...shown.map(shownHit))) : null;
}

// Two products of a kind: 40 sizes of one pasta would hide every other.
function varied(hits) {
  const seen = {};
  return hits.filter((hit) => {
    const kind = JSON.stringify([hit.category, hit.kind]);
    seen[kind] = (seen[kind] ?? 0) + 1;
    return hit.what !== "product" || seen[kind] <= 2;
  });
}

function shownHit(hit) {
  const hash = {
    product: itemHash(hit.id),
    kind: `search/product/${encodeURIComponent(hit.title)}`,
    purpose: purposeHash(hit.id),
  }[hit.what];
  const about = [hit.what === "product" ? hit.id : null, hit.kind, hit.category].filter(Boolean).join(" · ");
  return make("li", {}, link(hash, hit.title), " ", soft(about));
}

async function item(sku) {
  const path = `/v1/items/${encodeURIComponent(sku)}`;
  const { product } = await ask(path);
  const answer = await ask(`${path}/recommendations`, { limit: 20 });
  const price = product.price === null ? null : product.price.toFixed(2);
  const about = [product.sku, product.kind, product.category, price].filter(Boolean).join(" · ");
  return [make("h1", {}, product.title), soft(about), recommendations(answer)];
}

async function purpose(id) {
  const answer = await ask(`/v1/rationales/${encodeURIComponent(id)}/products`, { limit: 20 });
  return [make("h1", {}, answer.rationales.join(", ")), recommendations(answer)];
}

function recommendations({ items, snapshot_id }) {
  if (!items.length) return make("p", {}, "Nothing belongs with it: no relation of it passed the gate.");
  return make("ol", {}, ...items.map((one) => card(one, snapshot_id)));
}

function card(one, snapshotId) {
  const score = make("span", { title: "probability that it belongs" }, share(one.score), " ");
  score.append(make("meter", { min: 0, max: 1, value: one.score }));
  const paths = one.paths.map((path) => reason(path, snapshotId));
  return make(
    "li",
    { className: "card" },
    make("div", {}, make("span", {}, link(itemHash(one.sku), one.title), " ", soft(one.sku)), score),
    soft([one.kind, one.category].join(" · ")),
    ...paths,
  );
}

function reason(path, snapshotId) {
  const behind = make("button", { className: "link", type: "button" }, "statements");
  const found = make(
    "div",
    { className: "reason" },
    make("span", { className: "type" }, path.relation_type),
    " for ",
    link(purposeHash(path.rationale_id), path.rationale),
    make("div", {}, path.explanation, " ", soft(`holds with probability ${share(path.probability)}`), " ", behind),
  );
  behind.onclick = async () => {
    behind.remove();
    found.append(await statements(path.edge, snapshotId).catch(fault));
  };
  return found;
}

async function statements(edge, snapshotId) {
  const body = await ask(`/v1/edges/${edge}/statements`);
  if (body.snapshot_id !== snapshotId) throw new Error("The graph was replaced meanwhile. Reload the page.");
  const names = ["model", "product", "probability", "stated_confidence", "match_score", "relation_id", "response_id"];
  const heads = names.map((name) => make("th", {}, name.replace("_", " ")));
  const rows = body.statements.map((one) => make("tr", {}, ...names.map((name) => cell(one[name]))));
  const id = body.statements[0].relation_id;
  return make(
    "div",
    {},
    make("table", {}, make("tr", {}, ...heads), ...rows),
    soft("The model's own words: ", make("code", {}, `pkgraph explain ${id}`)),
  );
}

const cell = (value) => make("td", {}, typeof value === "number" ? share(value) : value);
const fault = (error) => make("p", { className: "error" }, error.message);

// From the address to the view; of two at once, the later one is shown.

const VIEWS = {
  search: (only, text) => search(text, only),
  item: (sku) => item(sku),
  purpose: (id) => purpose(id),
};

async function seen() {
  const [name, ...parts] = location.hash.slice(1).split("/").map(decodeURIComponent);
  [what.value, words.value] = name === "search" ? parts : ["", ""];
  return (VIEWS[name] ?? start)(...parts);
}

async function show() {
  const mine = ++asked;
  const found = await seen().catch((error) => [fault(error)]);
  if (mine === asked) view.replaceChildren(...found);
}

document.getElementById("search").onsubmit = (event) => {
  event.preventDefault();
  if (words.value.trim()) location.hash = `search/${what.value}/${encodeURIComponent(words.value.trim())}`;
};
window.onhashchange = show;
showSnapshot().catch((error) => document.getElementById("claim").replaceChildren(error.message));
show();
