/* Browsers of before 2020. */
if (!Element.prototype.replaceChildren) Element.prototype.replaceChildren = function (...nodes) { while (this.firstChild) this.firstChild.remove(); this.append(...nodes); };
/* What the views share: words, elements, numbers, times, the server. All text from outside goes in as text. */
const LANGUAGES = { en: "English", ko: "한국어", de: "Deutsch" };
const kept = { get: k => { try { return localStorage.getItem(k); } catch (e) { return null; } }, set: (k, v) => { try { localStorage.setItem(k, v); } catch (e) { /* private window */ } } };
let language = kept.get("language") || (navigator.languages || ["en"]).map(l => l.slice(0, 2)).find(l => LANGUAGES[l]) || "en";
if (!LANGUAGES[language]) language = "en";
const t = key => (WORDS[key] || {})[language] || key;
const $ = id => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
    for (const [k, v] of Object.entries(attributes || {})) {
        if (k.startsWith("on")) node.addEventListener(k.slice(2), v);
        else if (v === true) node.setAttribute(k, "");
        else if (v !== false && v !== null && v !== undefined) node.setAttribute(k, v);
    }
    for (const c of children.flat()) if (c !== null && c !== undefined) node.append(c);
    return node;
}
const el = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);
const svg = (name, attributes, ...children) => fill(document.createElementNS(SVG, name), attributes, children);
/* Somebody else's words: apart from ours in direction, cut by looks, whole in the title. */
const theirs = text => el("bdi", { class: "cut", title: String(text) }, String(text));

const short = (text, most) => (String(text).length > most ? String(text).slice(0, most) + "…" : String(text));
const at = (object, path) => path.split(".").reduce((o, k) => (o === null || o === undefined ? undefined : o[k]), object);
const digits = (n, most) => n.toLocaleString(language, { maximumFractionDigits: most });
const count = n => (typeof n === "number" ? digits(n, 0) : "–");
const rate = n => (typeof n === "number" ? digits(n, n < 10 ? 1 : 0) + "/s" : "–");
function size(n) {
    if (typeof n !== "number") return "–";
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let i = 0;
    for (; n >= 1024 && i < 4; i++) n /= 1024;
    return digits(n, i && n < 100 ? 1 : 0) + " " + units[i];
}
function span(s) {
    if (typeof s !== "number") return "–";
    if (s < 60) return digits(s, s < 10 ? 1 : 0) + " s";
    const m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
    return d > 1 ? `${d} d ${h % 24} h` : h ? `${h} h ${m % 60} min` : `${m} min ${Math.floor(s % 60)} s`;
}
function clock(iso) {
    if (!iso) return "–";
    const d = new Date(iso);
    return isNaN(d) ? String(iso) : d.toLocaleString(language, { dateStyle: "short", timeStyle: "medium" });
}
const percent = n => (typeof n === "number" ? digits(100 * n, 0) + " %" : "–");
const FORMS = { count, percent, rate, size, span, clock, text: v => (v === null || v === undefined || v === "" ? "–" : String(v)) };
/* An element that shows a number of the status object, and goes on showing it. */
const shows = (path, form, attributes) => el("span", Object.assign({ "data-path": path, "data-form": form }, attributes), "–");
function refresh(root, status) {
    for (const e of root.querySelectorAll("[data-path]")) {
        const v = at(status, e.dataset.path), text = FORMS[e.dataset.form](v);
        e.dataset.value = JSON.stringify(v === undefined ? null : v);
        if (e.textContent !== text) e.textContent = text;
    }
}

const state = { session: null, status: null, alarms: [], away: null, lost: false, rates: [] };

async function ask(path, body) {
    const how = { credentials: "same-origin" };
    if (body !== undefined) Object.assign(how, {
        method: "POST", body: JSON.stringify(body),
        headers: Object.assign({ "Content-Type": "application/json" }, state.session && state.session.csrf ? { "X-CSRF-Token": state.session.csrf } : {}) });
    const r = await fetch(path, how);
    const o = await r.json().catch(() => ({}));
    if (!r.ok) throw Object.assign(new Error(o.error || r.statusText || String(r.status)), { status: r.status });
    return o;
}
let silence;
function say(text) {
    $("said").textContent = text;
    clearTimeout(silence);
    silence = setTimeout(() => { $("said").textContent = ""; }, 6000);
}
function save(name, blob) {
    const a = el("a", { href: URL.createObjectURL(blob), download: name });
    a.click();
    setTimeout(() => URL.revokeObjectURL(a.href), 10000);
}
/* fields: [key, element]; resolves to true when it was confirmed. */
function confirm_by(title, fields, word) {
    const d = $("dialog"), f = $("form");
    f.replaceChildren(el("h2", {}, title), ...fields.map(([label, input]) => el("label", {}, label, input)),
        el("div", { class: "row" }, el("button", { class: "main", value: "yes" }, word), el("button", { value: "no", formnovalidate: true }, t("cancel"))));
    d.returnValue = "";
    d.showModal();
    return new Promise(done => d.addEventListener("close", () => done(d.returnValue === "yes"), { once: true }));
}
const table = (heads, rows) => rows.length
    ? el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": heads.map(h => h[0]).join(", ") }, el("table", {},
        el("thead", {}, el("tr", {}, heads.map(([text, kind]) => el("th", { scope: "col", class: kind }, text)))),
        el("tbody", {}, rows)))
    : el("p", { class: "note" }, t("nothing"));
const cell = (content, kind) => el("td", { class: kind }, content);
