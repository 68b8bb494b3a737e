/** What the crew should know of the machines, from one state of the desk: [state, name, words], state good, bad or idle. */

const SILENT_MS = 3_000;

function role(name, ageMs, words, trouble = false) {
  if (ageMs === null || ageMs === undefined) return ["idle", name, "not heard of yet"];
  if (ageMs > SILENT_MS) return ["bad", name, `silent for ${Math.round(ageMs / 1000)} s`];
  return [trouble ? "bad" : "good", name, words];
}

function tape(stage) {
  const { problem = "", chain = "", chain_n: n = 0, first_n: first = 0 } = stage?.tape ?? {};
  if (problem) return ["bad", "Tape", `${problem}. The show goes on.`];
  if (!first) return ["idle", "Tape", "starts with the show"];
  return ["good", "Tape", chain ? `chained to chunk ${n}: ${chain.slice(0, 12)}…` : "recording"];
}

function chunks(stage) {
  const { late_chunks: late = 0, late_ticks: ticks = 0 } = stage ?? {};
  return [late ? "idle" : "good", "Chunks", late ? `${late} so far came too late and went out as hold` : `all in time, ${ticks} ticks late`];
}

export function healthRows({ stage, usher, edges, doors, age_ms: age, stage_show: other, show }) {
  const rows = [
    role("Studio", age.stage, stage?.problem || "mixing", Boolean(stage?.problem)),
    role("Usher", age.usher, usher?.hold_chunks ? `filled ${usher.hold_chunks} chunks with hold` : "watching"),
    role("Edges", age.edges, `${edges.workers} working, ${edges.skips} skips, ${edges.drops} dropped`),
  ];
  if (doors) rows.push(role("Door", age.doors, `${doors.workers} working, ${doors.shed} shed`));
  if (doors?.silent) rows.push(["bad", "Door", `${doors.silent} silent`]);
  if (edges.silent) rows.push(["bad", "Edges", `${edges.silent} silent`]);
  if (other && other !== show.id) rows.push(["idle", "Stage", "another show has it"]);
  return stage ? [...rows, chunks(stage), tape(stage)] : rows;
}
