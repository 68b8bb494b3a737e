/** What the crew should know of the machines: rows of [name, words, whether it is trouble]. */

const SILENT_MS = 3_000;

function alive(name, age, words) {
  if (age == null) return [name, "never heard of", true];
  return age > SILENT_MS ? [name, `silent for ${Math.round(age / 1000)} s; the show goes on`, true] : [name, words, false];
}

function listeners({ edges }) {
  const by = Object.entries(edges.by_rendition).filter(([, count]) => count).map(([name, count]) => `${count} ${name}`);
  return ["Listening", [edges.listeners, by.join(", ")].filter((part) => part !== "").join(" · "), false];
}

function tape({ stage }) {
  const taped = stage?.tape;
  if (!taped?.first_n) return ["Recording", "begins with the show", false];
  if (taped.problem) return ["Recording", `disk: ${taped.problem}`, true];
  return ["Recording", `chunk ${taped.durable_n} is on disk`, false];
}

function studio({ stage, age_ms: age }) {
  const late = stage?.late_chunks ?? 0;
  const words = stage?.problem || (late ? `${late} chunks came too late and were hold` : "in time");
  const [name, text, trouble] = alive("Studio", age.stage, words);
  return [name, text, trouble || Boolean(stage?.problem)];
}

export function health(state) {
  const { edges, usher, age_ms: age } = state;
  const chain = state.stage?.tape?.chain;
  return [
    listeners(state),
    studio(state),
    tape(state),
    alive("Usher", age.usher, usher?.hold_chunks ? `filled in ${usher.hold_chunks} chunks` : "nothing to fill in"),
    alive("Edges", age.edges, `${edges.workers} at work · ${edges.skips} skips · ${edges.drops} dropped`),
    ["Chain head", chain ? `${chain.slice(0, 16)}… after chunk ${state.stage.tape.chain_n}` : "after the first minute", false],
  ];
}
