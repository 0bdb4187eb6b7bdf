/* Which view is shown, the stream, who is logged in. */
const ORDER = ["overview", "sources", "tags", "alarms", "events", "ledger", "quarantine", "dead-letters", "configuration"];
let view = null, stream = null;

function show() {
    const [name, query] = location.hash.slice(1).split("?"), which = VIEWS[name] ? name : "overview";
    document.documentElement.lang = language;
    for (const e of document.querySelectorAll("[data-t]")) e.textContent = t(e.dataset.t);
    $("nav").replaceChildren(...ORDER.map(n => el("a", { href: "#" + n, "aria-current": n === which ? "page" : null }, t(n))));
    document.title = `${t(which)} · ${state.session ? state.session.gateway : "millrace"}`;
    if (state.session && !state.session.may_look) {
        view = null;
        $("main").replaceChildren(el("section", { "data-view": "login" }, el("h1", {}, t("must_log_in")), el("button", { class: "main", type: "button", onclick: log_in }, t("log_in"))));
        return;
    }
    view = VIEWS[which](new URLSearchParams(query || ""));
    view.root.dataset.view = which;
    $("main").replaceChildren(view.root);
    if (view.begin) view.begin();
    if (state.status && view.news) view.news(state.status);
}
function tell_away() {
    const text = state.lost ? t("lost") : state.away ? `${t("away")} (${state.away})` : "";
    $("away").textContent = text;
    $("away").hidden = !text;
}
function on_status(s) {
    state.status = s;
    state.rates.push({ i: s.accept_rate || 0, o: s.deliver_rate || 0 });
    if (state.rates.length > 120) state.rates.shift();
    state.away = null;
    tell_away();
    if (view && view.news) view.news(s);
}
function listen() {
    if (stream) stream.close();
    if (!state.session.may_look) return;
    stream = new EventSource("/api/live");
    stream.addEventListener("open", () => { state.lost = false; tell_away(); });
    stream.addEventListener("status", e => on_status(JSON.parse(e.data)));
    stream.addEventListener("alarms", e => { state.alarms = JSON.parse(e.data).alarms || []; if (view && view.alarms) view.alarms(); });
    stream.addEventListener("away", e => { state.away = JSON.parse(e.data).error; tell_away(); });
    stream.addEventListener("error", () => { state.lost = true; tell_away(); if (stream.readyState === 2) setTimeout(begin, 5000); });
}
async function log_in() {
    const user = el("input", { autocomplete: "username", required: true, maxlength: 64 }), password = el("input", { type: "password", autocomplete: "current-password", required: true, maxlength: 512 });
    if (!await confirm_by(t("log_in"), [[t("user"), user], [t("password"), password]], t("log_in"))) return;
    try { await ask("/api/login", { user: user.value, password: password.value }); await begin(); } catch (e) { say(e.message); }
}
async function log_out() {
    try { await ask("/api/logout", {}); } catch (e) { say(e.message); }
    begin();
}
async function begin() {
    try { state.session = await ask("/api/session"); } catch (e) { state.lost = true; tell_away(); setTimeout(begin, 5000); return; }
    $("gateway").textContent = state.session.gateway;
    const button = $("login");
    button.textContent = state.session.user ? `${t("log_out")} (${state.session.user})` : t("log_in");
    button.onclick = state.session.user ? log_out : log_in;
    button.hidden = !state.session.user && !state.session.users;
    show();
    listen();
}
function theme(set) {
    const dark = set || kept.get("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    document.documentElement.dataset.theme = dark;
    $("theme").textContent = t(dark === "dark" ? "light" : "dark");
    $("theme").onclick = () => { const next = dark === "dark" ? "light" : "dark"; kept.set("theme", next); theme(next); show(); };
}
$("language").append(...Object.entries(LANGUAGES).map(([k, name]) => el("option", { value: k, selected: k === language, lang: k }, name)));
$("language").addEventListener("change", e => { language = e.target.value; kept.set("language", language); theme(); begin(); });
matchMedia("(max-width: 639px)").addEventListener("change", show);
addEventListener("hashchange", () => { show(); $("main").focus(); });
/* A page that is put away for "back" would keep its stream; one that comes back begins anew. */
addEventListener("pagehide", () => { if (stream) stream.close(); });
addEventListener("pageshow", e => { if (e.persisted) begin(); });
theme();
begin();
