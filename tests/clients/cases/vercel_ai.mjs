// Vercel's AI SDK on OpenAI and Anthropic: text, tools, objects, streams, and what goes wrong.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, isStepCount, streamText, tool } from "ai";
import { z } from "zod";
import { first, hold, serve } from "./outcome.mjs";

const ASK = "Tell me in a few sentences how rivers find the sea.";
const USE_TOOL = "Use get_weather for Paris.";
const FAULTS = ["status-401", "status-402", "status-403", "status-429", "status-500", "status-503"];

const openai = (at, model = "gpt-4o-mini") => createOpenAI({ baseURL: at("openai") + "/v1", apiKey: "sk-test-1" })(model);
const chat = (at, model = "gpt-4o-mini") => createOpenAI({ baseURL: at("openai") + "/v1", apiKey: "sk-test-1" }).chat(model);
const anthropic = (at, model = "claude-sonnet-4-5") => createAnthropic({ baseURL: at("anthropic") + "/v1", apiKey: "sk-ant-test-1" })(model);

const tools = {
  get_weather: tool({
    description: "The weather of a city",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => `It rains in ${city}.`,
  }),
};

async function generate(model, prompt = ASK, options = {}) {
  const done = await generateText({ model, prompt, maxRetries: 0, ...options });
  const usage = done.totalUsage ?? done.usage;
  const used = done.steps.flatMap((step) => step.toolCalls.map((call) => [call.toolName, JSON.stringify(call.input)]));
  return { text: done.text, tools: used, usage: [usage.inputTokens, usage.outputTokens], finish: done.finishReason };
}

async function stream(model, options = {}) {
  let text = "", failure = null, begun = false;
  const done = streamText({ model, prompt: ASK, maxRetries: 0, onError: ({ error }) => { failure = error; }, ...options });
  for await (const piece of done.textStream) {
    if (!begun) await first();
    begun = true;
    text += piece;
  }
  if (failure) throw failure;
  const usage = await done.usage;
  return { text, usage: [usage.inputTokens, usage.outputTokens], finish: await done.finishReason };
}

async function askFor(at, fault) {
  const told = [];
  for (const model of [openai(at, `gpt-4o-mini-${fault}`), chat(at, `gpt-4o-mini-${fault}`)]) {
    try {
      await generate(model);
    } catch (error) {
      told.push(`${error.name} ${error.statusCode}`);
    }
  }
  try {
    return await generate(anthropic(at, `claude-sonnet-4-5-${fault}`));
  } catch (error) {
    return { error: error.name, status: error.statusCode, message: error.message, others: told };
  }
}

const loop = { tools, stopWhen: isStepCount(4) };

async function case_responses(at) {
  return generate(openai(at));
}

async function case_responses_tools(at) {
  return generate(openai(at), USE_TOOL, loop);
}

async function case_chat_tools(at) {
  return generate(chat(at), USE_TOOL, loop);
}

async function case_responses_stream(at) {
  await hold(6);
  return stream(openai(at));
}

async function case_chat_stream(at) {
  await hold(4);
  return stream(chat(at));
}

async function case_anthropic(at) {
  return generate(anthropic(at));
}

async function case_anthropic_tools(at) {
  return generate(anthropic(at), USE_TOOL, loop);
}

async function case_anthropic_stream(at) {
  await hold(6);
  return stream(anthropic(at));
}

async function case_retries(at) {
  return generate(openai(at, "gpt-4o-mini-status-500"), ASK, { maxRetries: 1 });
}

async function case_timeout(at) {
  return generate(openai(at, "gpt-4o-mini-slow-first-byte"), ASK, { abortSignal: AbortSignal.timeout(300) });
}

await serve(
  {
    case_responses, case_responses_tools, case_chat_tools, case_responses_stream, case_chat_stream, case_anthropic, case_anthropic_tools,
    case_anthropic_stream, case_retries, case_timeout,
  },
  FAULTS,
  askFor,
);
