// Parses AsyncAPI documents: `node asyncapi.mjs FILE...` prints the diagnostics and the names of the messages of each.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const parser = new Parser();
const results = [];
for (const file of process.argv.slice(2)) {
  const { document, diagnostics } = await parser.parse(readFileSync(file, "utf8"));
  const messages = document ? document.messages().all().map((message) => message.name()) : [];
  results.push({ diagnostics: diagnostics.map(({ severity, code, message }) => ({ severity, code, message })), messages });
}
process.stdout.write(JSON.stringify(results));
