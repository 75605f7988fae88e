// Plain questions with an SDK's own defaults, retries included: `ask_plainly.mjs CLIENT` reads a root a line and says what became of each, as JSON.

import { createInterface } from "node:readline";

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const ASK = [{ role: "user", content: "Tell me in a few words how rivers find the sea." }];
const CLIENTS = {
  async openai(root) {
    const client = new OpenAI({ baseURL: `${root}/openai/v1`, apiKey: "sk-test-1" });
    return (await client.chat.completions.create({ model: "gpt-4o-mini", messages: ASK })).choices[0].message.content;
  },
  async anthropic(root) {
    const client = new Anthropic({ baseURL: `${root}/anthropic`, apiKey: "sk-ant-test-1" });
    return (await client.messages.create({ model: "claude-sonnet-4-5", max_tokens: 100, messages: ASK })).content[0].text;
  },
};

console.log(JSON.stringify({ ready: true }));
for await (const line of createInterface({ input: process.stdin })) {
  let outcome;
  try {
    outcome = { text: await CLIENTS[process.argv[2]](JSON.parse(line).root) };
  } catch (error) {
    outcome = { error: error.constructor.name, message: error.message };
  }
  console.log(JSON.stringify({ outcome }));
}
