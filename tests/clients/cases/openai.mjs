// The OpenAI SDK for Node: Chat Completions, Responses, Embeddings, a file, and what goes wrong.

import OpenAI, { toFile } from "openai";
import { first, hold, serve } from "./outcome.mjs";

const MODEL = "gpt-4o-mini";
const ASK = [{ role: "user", content: "Tell me in a few sentences how rivers find the sea." }];
const USE_TOOL = [{ role: "user", content: "Use get_weather for Paris." }];
const PARAMETERS = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const TOOLS = [{ type: "function", function: { name: "get_weather", description: "The weather of a city", parameters: PARAMETERS } }];
const FAULTS = ["status-401", "status-402", "status-403", "status-429", "status-500", "status-503", "garbage"];

const connect = (at, options = {}) => new OpenAI({ baseURL: at("openai") + "/v1", apiKey: "sk-test-1", maxRetries: 0, timeout: 20000, ...options });

function tellCompletion(done) {
  const choice = done.choices[0];
  const tools = (choice.message.tool_calls ?? []).map((call) => [call.function.name, call.function.arguments]);
  const usage = [done.usage.prompt_tokens, done.usage.completion_tokens];
  return { text: choice.message.content, tools, usage, finish: choice.finish_reason, model: done.model };
}

async function tellChunks(chunks, early = false) {
  let text = "", usage = null, finish = null, model = null, begun = false;
  for await (const chunk of chunks) {
    if (early && !begun) await first();
    begun = true;
    model = chunk.model;
    if (chunk.usage) usage = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens];
    for (const choice of chunk.choices) {
      text += choice.delta.content ?? "";
      finish = choice.finish_reason ?? finish;
    }
  }
  return { text, usage, finish, model };
}

const askFor = async (at, fault, options) =>
  tellCompletion(await connect(at, options).chat.completions.create({ model: `${MODEL}-${fault}`, messages: ASK }));

async function case_chat(at) {
  return tellCompletion(await connect(at).chat.completions.create({ model: MODEL, messages: ASK }));
}

async function case_chat_tools(at) {
  return tellCompletion(await connect(at).chat.completions.create({ model: MODEL, messages: USE_TOOL, tools: TOOLS }));
}

async function case_chat_stream(at) {
  await hold(1);
  return tellChunks(await connect(at).chat.completions.create({ model: MODEL, messages: ASK, stream: true }), true);
}

async function case_chat_stream_usage(at) {
  const options = { model: MODEL, messages: ASK, stream: true, stream_options: { include_usage: true } };
  return tellChunks(await connect(at).chat.completions.create(options));
}

async function case_response(at) {
  const done = await connect(at).responses.create({ model: MODEL, input: ASK[0].content });
  return { text: done.output_text, usage: [done.usage.input_tokens, done.usage.output_tokens], finish: done.status, model: done.model };
}

async function case_response_stream(at) {
  await hold(1);
  let done, begun = false;
  for await (const event of await connect(at).responses.create({ model: MODEL, input: ASK[0].content, stream: true })) {
    if (!begun) await first();
    begun = true;
    if (event.type === "response.completed") done = event.response;
  }
  return { text: done.output[0].content[0].text, usage: [done.usage.input_tokens, done.usage.output_tokens], finish: done.status, model: done.model };
}

async function case_embeddings(at) {
  const done = await connect(at).embeddings.create({ model: "text-embedding-3-small", input: "one river" });
  return { text: JSON.stringify(done.data[0].embedding.slice(0, 4)), model: done.model };
}

async function case_file(at) {
  const done = await connect(at).files.create({ file: await toFile(Buffer.alloc(70000, "x"), "lines.jsonl"), purpose: "batch" });
  return { text: `${done.filename} ${done.bytes}` };
}

async function case_retries(at) {
  return askFor(at, "status-500", { maxRetries: 1 });
}

async function case_timeout(at) {
  return askFor(at, "slow-first-byte", { timeout: 300 });
}

async function case_stream_cut(at) {
  return tellChunks(await connect(at).chat.completions.create({ model: `${MODEL}-cut`, messages: ASK, stream: true }));
}

async function case_stream_error(at) {
  return tellChunks(await connect(at).chat.completions.create({ model: `${MODEL}-error-in-stream`, messages: ASK, stream: true }));
}

await serve(
  {
    case_chat, case_chat_tools, case_chat_stream, case_chat_stream_usage, case_response, case_response_stream, case_embeddings, case_file, case_retries,
    case_timeout, case_stream_cut, case_stream_error,
  },
  FAULTS,
  askFor,
);
