// The Anthropic SDK for Node: Messages, tools, streams, token counting, and what goes wrong.

import Anthropic from "@anthropic-ai/sdk";
import { first, hold, serve } from "./outcome.mjs";

const MODEL = "claude-sonnet-4-5";
const ASK = [{ role: "user", content: "Tell me in a few sentences how rivers find the sea." }];
const USE_TOOL = [{ role: "user", content: "Use get_weather for Paris." }];
const SCHEMA = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const TOOLS = [{ name: "get_weather", description: "The weather of a city", input_schema: SCHEMA }];
const FAULTS = ["status-401", "status-402", "status-403", "status-429", "status-500", "status-503", "status-529", "garbage"];

const connect = (at, options = {}) => new Anthropic({ baseURL: at("anthropic"), apiKey: "sk-ant-test-1", maxRetries: 0, timeout: 20000, ...options });

function tellMessage(done) {
  const text = done.content.map((block) => block.text ?? "").join("");
  const tools = done.content.filter((block) => block.type === "tool_use").map((block) => [block.name, JSON.stringify(block.input)]);
  const taken = done.usage.input_tokens + (done.usage.cache_read_input_tokens ?? 0) + (done.usage.cache_creation_input_tokens ?? 0);
  return { text, tools, usage: [taken, done.usage.output_tokens], finish: done.stop_reason, model: done.model };
}

const askFor = async (at, fault, options) =>
  tellMessage(await connect(at, options).messages.create({ model: `${MODEL}-${fault}`, max_tokens: 400, messages: ASK }));

async function askStream(at, model, early = false, options = {}) {
  const stream = connect(at).messages.stream({ model, max_tokens: 400, messages: ASK, ...options });
  let begun = false;
  for await (const event of stream) {
    if (early && !begun) await first();
    begun = begun || Boolean(event);
  }
  return tellMessage(await stream.finalMessage());
}

async function case_message(at) {
  return tellMessage(await connect(at).messages.create({ model: MODEL, max_tokens: 400, messages: ASK }));
}

async function case_message_tools(at) {
  return tellMessage(await connect(at).messages.create({ model: MODEL, max_tokens: 400, messages: USE_TOOL, tools: TOOLS }));
}

async function case_message_br(at) {
  return tellMessage(
    await connect(at, { defaultHeaders: { "x-demo-encoding": "br" } }).messages.create({ model: MODEL, max_tokens: 400, messages: ASK }),
  );
}

async function case_stream(at) {
  await hold(1);
  return askStream(at, MODEL, true);
}

async function case_stream_tools(at) {
  return askStream(at, MODEL, false, { messages: USE_TOOL, tools: TOOLS });
}

async function case_count_tokens(at) {
  return { text: (await connect(at).messages.countTokens({ model: MODEL, messages: ASK })).input_tokens };
}

async function case_retries(at) {
  return askFor(at, "status-500", { maxRetries: 1 });
}

async function case_timeout(at) {
  return askFor(at, "slow-first-byte", { timeout: 300 });
}

async function case_stream_cut(at) {
  return askStream(at, `${MODEL}-cut`);
}

async function case_stream_error(at) {
  return askStream(at, `${MODEL}-error-in-stream`);
}

await serve(
  {
    case_message, case_message_tools, case_message_br, case_stream, case_stream_tools, case_count_tokens, case_retries, case_timeout, case_stream_cut,
    case_stream_error,
  },
  FAULTS,
  askFor,
);
