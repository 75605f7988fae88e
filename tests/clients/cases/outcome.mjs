// How a Node client's cases are run; the same conversation as in outcome.py.

import { createInterface } from "node:readline";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const write = process.stdout.write.bind(process.stdout);
console.log = console.info = console.warn = console.error; // what a library prints must not look like an outcome

const say = (line) => write(JSON.stringify(line) + "\n");

/** Have the provider's next answer held back behind its first `after` chunks, until `first` is called. */
export async function hold(after) {
  say({ hold: after });
  await lines.next();
}

/** Report that the beginning of a held answer has arrived; the rest is let go then. */
export async function first() {
  say({ first: true });
  await lines.next();
}

/** An exception as an outcome: its class, its status where it has one. */
function tell(error, at) {
  const hidden = at.root.length ? error.message.replaceAll(at.root, "ROOT") : error.message;
  return {
    error: error.name === "Error" ? error.constructor.name : `${error.constructor.name} ${error.name}`,
    status: error.status ?? error.statusCode ?? null,
    cause: error.cause?.code ?? error.cause?.constructor?.name ?? null,
    message: hidden,
  };
}

async function run(test, root, proxied) {
  const at = (upstream) => (proxied ? `${root}/${upstream}` : root);
  at.root = root;
  try {
    return (await test(at)) ?? {};
  } catch (error) {
    return tell(error, at);
  }
}

/** Run the cases that standard input asks for, until it ends. */
export async function serve(cases, faults, askFor) {
  say({ ready: true });
  for (;;) {
    const { value, done } = await lines.next();
    if (done) return;
    const command = JSON.parse(value);
    const test = faults.includes(command.case) ? (at) => askFor(at, command.case) : cases[`case_${command.case}`];
    say({ outcome: await run(test, command.root, command.proxied) });
  }
}
