// One plain question with an SDK's own defaults, retries included: `ask_once.mjs CLIENT ROOT` prints what became of it as JSON.

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

const [name, root] = process.argv.slice(2);
try {
  console.log(JSON.stringify({ text: await CLIENTS[name](root) }));
} catch (error) {
  console.log(JSON.stringify({ error: error.constructor.name, message: error.message }));
}
