/* The views: each makes its section, and says what to do with news. */
const VIEWS = {};
const heading = key => el("h1", {}, t(key));
/* What is wrong, in the language chosen where its kind has words there, then the daemon's own. */
const in_words = c => { const ours = (WORDS[`c.${c.name}`] || {})[language]; return ours ? `${ours}: ${c.what}` : c.what; };
const good_state = s => (s === "up" ? "state" : s === "connecting" || s === "backoff" ? "state warn" : "state bad");

VIEWS.overview = () => {
    const verdict = el("div", { class: "plate verdict" }, el("p", { id: "verdict" }, t("starting"))), picture = river_new();
    const meter = el("i"), plate = (name, value, ...more) => el("div", { class: "plate" }, el("div", { class: "name" }, name), el("div", { class: "number" }, value), more);
    const note = (...parts) => el("div", { class: "note" }, parts);
    const full = el("span", {}, "–");
    const root = el("section", {}, heading("overview"), verdict, el("div", { class: "plate" }, picture,
        el("p", { class: "note" }, shows("accepted", "count"), ` ${t("accepted")} = `, shows("delivered", "count"), ` ${t("delivered")} + `, shows("held", "count"), ` ${t("held")} + `, shows("dropped", "count"), ` ${t("dropped")}`)),
    el("div", { class: "grid" },
        plate(t("spool"), shows("spool_bytes", "size"), el("div", { class: "meter", "aria-hidden": "true" }, meter), note(full), note(t("oldest"), " ", shows("oldest_held_age_s", "span"))),
        plate(`Kafka: ${t("empty_in")}`, shows("drain_eta_s", "span"), note(shows("uplink.in_flight", "count"), " ", t("in_flight")), note(shows("uplink.last_error", "text"))),
        plate(t("flash_day"), shows("flash.forecast_bytes_per_day", "size"), note(t("flash_today"), " ", shows("flash.bytes_today", "size"))),
        plate(t("alarms"), shows("alarms.active", "count"), note(t("active")), note(shows("alarms.unacked", "count"), " ", t("unacked")), note(shows("alarms.shelved", "count"), " ", t("shelved"))),
        plate(t("running"), shows("uptime_s", "span"), note("millrace ", shows("version", "text")))));
    const tell = s => {
        const [first, ...rest] = s.conditions || [], todo = c => (c.todo ? el("p", { class: "todo" }, t("todo"), ": ", el("bdi", {}, c.todo)) : null);
        const words = s.health === "ok" ? t("ok") : `${t(s.health)}${first ? ": " + in_words(first) : ""}`;
        verdict.dataset.health = s.health;
        verdict.replaceChildren(el("p", { id: "verdict", "data-path": "health", "data-form": "text", hidden: true }), el("p", { dir: "auto" }, words),
            ...(s.health === "ok" ? [] : [first && todo(first)].filter(Boolean)),
            el("ul", { class: "conditions" }, (s.health === "ok" ? s.conditions || [] : rest).map(c => el("li", {}, el("bdi", {}, in_words(c)), " ", el("span", { class: "note" }, `${t("since")} ${clock(c.since)}`), todo(c)))));
        refresh(verdict, s);
    };
    let told = "";
    return { root, news: s => {
        const key = JSON.stringify([s.health, (s.conditions || []).map(c => [c.what, c.todo, c.since]), language]);
        if (key !== told) tell(s);
        told = key;
        refresh(root, s);
        river_update(root, s, state.rates);
        const used = s.spool_usable_bytes ? Math.min(100, 100 * s.held_bytes / s.spool_usable_bytes) : 0;
        meter.style.width = used + "%";
        const still = s.accept_rate - s.deliver_rate, each = s.held ? s.held_bytes / s.held : 0;
        full.textContent = `${digits(used, 1)} % ${t("used")}` + (still > .5 && each ? ` · ${t("full_in")} ${span((s.spool_usable_bytes - s.held_bytes) / (still * each))}` : "");
    } };
};

VIEWS.sources = () => {
    const list = el("div", {}), root = el("section", {}, heading("sources"), el("div", { class: "plate" }, list));
    let shape = "";
    const row = (base, o, kind) => el("tr", {}, cell(theirs(o.name || o.device || "–")), cell(theirs(kind)), cell(shows(`${base}.state`, "text", { class: good_state(o.state) })),
        cell(shows(`${base}.readings`, "count"), "n"), cell(shows(`${base}.errors`, "count"), "n"), cell(typeof o.load === "number" ? shows(`${base}.load`, "percent") : "–", "n"),
        cell(theirs(o.last_error || o.why || "–")), cell(clock(o.since)));
    return { root, news: s => {
        const key = JSON.stringify((s.drivers || []).map(d => [d.name, d.state, d.last_error, d.since, (d.devices || []).map(v => [v.name, v.state, v.why])]));
        if (key !== shape) list.replaceChildren(table([[t("name")], [t("kind")], [t("state")], [t("readings"), "n"], [t("errors"), "n"], [t("load"), "n"], [t("last_error")], [t("since_when")]],
            (s.drivers || []).flatMap((d, i) => [row(`drivers.${i}`, d, d.kind), ...(d.devices || []).map((v, k) => row(`drivers.${i}.devices.${k}`, v, "↳"))])));
        shape = key;
        refresh(root, s);
    } };
};

VIEWS.tags = parameters => {
    const chosen = parameters.getAll("tag").map(text => { try { return JSON.parse(text); } catch (e) { return null; } }).filter(c => c && c.source && c.tag).slice(0, 8);
    const search = el("input", { type: "search", placeholder: t("search"), "aria-label": t("search"), value: parameters.get("q") || "" }), list = el("div", {}), more = el("button", { type: "button", hidden: true }, t("more"));
    const minutes = el("select", { "aria-label": t("hours") }, [[10, `10 ${t("minutes")}`], [60, `1 ${t("hours")}`], [240, `4 ${t("hours")}`], [1440, `24 ${t("hours")}`], [10080, `168 ${t("hours")}`]].map(([v, text]) => el("option", { value: v, selected: String(v) === (parameters.get("minutes") || "10") }, text)));
    const here = change => {
        const q = new URLSearchParams();
        if (search.value) q.set("q", search.value);
        q.set("minutes", minutes.value);
        for (const c of change) q.append("tag", JSON.stringify(c));
        return "#tags?" + q;
    };
    const panel = curve_panel(() => chosen, () => { const now = Date.now() * 1000; return [now - minutes.value * 60e6, now]; }, key => { location.hash = here(chosen.filter(c => curve_key(c) !== key)); });
    const root = el("section", {}, heading("tags"), el("div", { class: "plate", hidden: !chosen.length }, el("div", { class: "row" }, minutes), panel), el("div", { class: "plate" }, el("div", { class: "row" }, search), list, more));
    minutes.addEventListener("change", () => { location.hash = here(chosen); });
    let rows = [], next = null, timer, due_ms = 0;
    const draw = () => list.replaceChildren(table([[t("source")], [t("tag")], [t("value"), "n"], [t("quality")], [t("age"), "n"], [""]], rows.map(r => {
        const labels = Object.entries(r.labels || {}).map(([k, v]) => `${k}=${v}`).join(" "), c = { source: r.source, tag: r.tag, labels: labels_text(r.labels) };
        return el("tr", {}, cell(theirs(r.source)), cell([theirs(r.tag), labels ? el("span", { class: "note" }, theirs(labels)) : null]), cell(el("bdi", { title: String(r.last_value) }, `${r.last_value === null || r.last_value === undefined ? "–" : short(r.last_value, 40)} ${r.unit || ""}`), "n"),
            cell(r.quality || "–", r.quality === "good" || !r.quality ? "" : r.quality.startsWith("bad") ? "bad" : "warn"), cell(span(r.age_s), "n"),
            cell(el("a", { href: here([...chosen.filter(x => curve_key(x) !== curve_key(c)), c]), "aria-label": `${t("show")} ${curve_key(c)}` }, t("show"))));
    })));
    const load = async after => {
        const asked = search.value, r = await ask("/api/tags?" + new URLSearchParams(Object.assign({ q: asked }, after ? { after } : {})));
        if (asked !== search.value || !root.isConnected) return;
        rows = after ? rows.concat(r.tags) : r.tags;
        next = r.next;
        more.hidden = !next;
        draw();
    };
    const fail = e => list.replaceChildren(el("p", { class: "bad", role: "alert" }, e.message));
    /* Every five seconds, or so seldom that the gateway is busy with it a twentieth of the time. */
    const again = async () => {
        const begin_ms = Date.now();
        due_ms = Infinity;
        if (chosen.length) await panel.load();
        due_ms = Date.now() + Math.max(5000, 20 * (Date.now() - begin_ms));
    };
    search.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => load().catch(fail), 200); });
    more.addEventListener("click", () => load(next).catch(fail));
    return { root, begin: () => { again(); load().catch(fail); }, news: () => {
        if (Date.now() < due_ms || document.hidden) return;
        again();
        if (rows.length <= 200 && document.activeElement !== search) load().catch(() => {});
    } };
};

function alarm_name(a) {
    const labels = Object.entries(JSON.parse(`{${labels_text(a.labels)}}`)).map(([k, v]) => `${k}=${v}`).sort().join(",");
    return `${a.source}/${a.tag || "-"}${labels ? `{${labels}}` : ""}/${a.rule}${a.limit_kind ? "." + a.limit_kind : ""}`;
}
VIEWS.alarms = () => {
    const list = el("div", {}), log = el("div", {}), around = el("div", {}), all = el("input", { type: "checkbox", id: "all-alarms" });
    const note = el("p", { class: "note" }), root = el("section", {}, heading("alarms"), el("div", { class: "plate" }, el("div", { class: "row" }, all, el("label", { for: "all-alarms" }, t("everything"))), note, list),
        around, el("div", { class: "plate" }, el("h2", {}, t("history")), log));
    const act = async (a, action, more) => {
        try { await ask("/api/alarm", Object.assign({ action, alarm: a.event_id || alarm_name(a) }, more)); say(t("done")); } catch (e) { say(e.message); }
    };
    const shelve = async a => {
        const long = el("select", {}, [[900, "15 min"], [3600, "1 h"], [28800, "8 h"], [86400, "24 h"]].map(([v, text]) => el("option", { value: v }, text))), comment = el("input", { maxlength: 200, required: true });
        if (await confirm_by(`${t("shelve")}: ${alarm_name(a)}`, [[t("for_how_long"), long], [t("comment"), comment]], t("shelve"))) act(a, "shelve", { for_s: Number(long.value), comment: comment.value });
    };
    const show = a => {
        const us = Date.parse(a.since) * 1000, panel = curve_panel(() => [{ source: a.source, tag: a.tag, labels: labels_text(a.labels) }], () => [us - 900e6, Math.min(us + 900e6, Date.now() * 1000)], null);
        around.replaceChildren(el("div", { class: "plate" }, el("h2", {}, theirs(alarm_name(a))), panel));
        panel.load();
    };
    const row = a => {
        const may = state.session && state.session.may_act, shelved = String(a.state).includes("shelved") || a.shelved_until;
        const button = (action, run) => el("button", { type: "button", "data-act": action, disabled: !may, onclick: run }, t(action));
        return el("tr", { "data-alarm": alarm_name(a) }, cell(String(a.severity), "n"), cell(theirs(a.source)), cell(theirs(a.tag || "–")), cell(theirs(`${a.rule}${a.limit_kind ? " " + a.limit_kind : ""}`)),
            cell(el("span", { class: a.active ? "state bad" : a.state === "normal" ? "state" : "state warn" }, a.state)), cell(clock(a.since)),
            cell(el("div", { class: "row" }, a.unacked ? button("ack", () => act(a, "ack")) : null, shelved ? button("unshelve", () => act(a, "unshelve")) : a.state === "normal" ? null : button("shelve", () => shelve(a)),
                a.tag ? el("button", { type: "button", "data-act": "curve", onclick: () => show(a) }, t("show")) : null)));
    };
    const draw = alarms => {
        note.textContent = state.session && state.session.may_act ? "" : t("need_user");
        list.replaceChildren(table([[t("severity"), "n"], [t("source")], [t("tag")], [t("rule")], [t("state")], [t("since_when")], [""]], alarms.slice(0, 500).map(row)));
    };
    const load_log = async () => {
        const { log: rows } = await ask("/api/alarm-log");
        log.replaceChildren(table([[t("when")], [t("source")], [t("tag")], [t("rule")], [t("what")], [t("value"), "n"], [t("who")], [t("comment")]], rows.map(r => el("tr", {}, cell(clock(r.ts || r.at)), cell(theirs(r.source || "–")), cell(theirs(r.tag || "–")),
            cell(theirs(r.rule || "–")), cell(theirs(r.change || r.state || "–")), cell(r.value === null || r.value === undefined ? "–" : digits(r.value, 3), "n"), cell(theirs(r.operator || "–")), cell(theirs(r.comment || "–"))))));
    };
    const fail = e => log.replaceChildren(el("p", { class: "bad", role: "alert" }, e.message));
    const again = () => (all.checked ? ask("/api/alarms").then(r => draw(r.alarms)).catch(fail) : draw(state.alarms));
    all.addEventListener("change", again);
    return { root, begin: () => { again(); load_log().catch(fail); }, alarms: () => { again(); load_log().catch(fail); } };
};

/* Lists that are asked for once: heads of [word, key or function]. */
function listing(name, path, heads, todo) {
    VIEWS[name] = () => {
        const list = el("div", {}), root = el("section", {}, heading(name), el("div", { class: "plate" }, todo ? el("p", { class: "note" }, t(todo)) : null, list));
        const put = (r, get) => { const v = typeof get === "function" ? get(r) : r[get]; return v === null || v === undefined || v === "" ? "–" : v; };
        return { root, begin: () => ask(path).then(o => list.replaceChildren(table(heads.map(([w, , kind]) => [t(w), kind]), o.rows.map(r => el("tr", {}, heads.map(([, get, kind]) => cell(theirs(put(r, get)), kind)))))))
            .catch(e => list.replaceChildren(el("p", { class: "bad", role: "alert" }, e.message))) };
    };
}
const when = r => clock(r.ts || r.at || (r.at_us ? r.at_us / 1000 : null));
listing("events", "/api/events", [["when", when], ["severity", "severity", "n"], ["kind", "kind"], ["name", "subject"], ["what", "words"], ["why", r => r.why || r.todo]]);
listing("ledger", "/api/ledger", [["when", when], ["what", r => `${r.lane || ""} ${r.first_seq}–${r.last_seq}`], ["how_many", "n", "n"], ["why", "reason"]], "ledger_todo");
listing("quarantine", "/api/quarantine", [["when", when], ["source", "driver"], ["from_where", "origin"], ["why", "reason"], ["what", r => r.payload || r.text || r.payload_hex]], "quarantine_todo");
listing("dead-letters", "/api/dead-letters", [["when", when], ["source", "source"], ["tag", "tag"], ["what", "seq"], ["why", "reason"]], "dead_todo");

VIEWS.configuration = () => {
    const text = el("pre", { tabindex: 0 }), path = el("p", { class: "note" }), faults = el("div", {}), root = el("section", {}, heading("configuration"), faults, el("div", { class: "plate" }, el("p", { class: "note" }, t("file_shown")), path, text));
    let told = "";
    return { root, begin: () => ask("/api/configuration").then(o => { text.textContent = o.text; path.textContent = o.path; }).catch(e => { text.textContent = e.message; }), news: s => {
        const list = at(s, "config.faults") || [], key = JSON.stringify(list);
        if (key === told) return;
        told = key;
        faults.replaceChildren(...(list.length ? [el("div", { class: "plate verdict", "data-health": "degraded" }, el("p", {}, t("faults")), el("ul", { class: "conditions" }, list.map(f => el("li", {}, theirs(typeof f === "string" ? f : `${f.file || ""}:${f.line || ""}:${f.column || ""}: ${f.path || ""} ${f.text || f.what || ""}`)))))] : []));
    } };
};
