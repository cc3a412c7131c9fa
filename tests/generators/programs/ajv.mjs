// Validates values: `node ajv.mjs 2020-12|draft-07 SCHEMAS VALUES` prints what Ajv logs in strict mode, and the number of
// the lines of VALUES, each `{"type": …, "value": …}`, that are invalid.
import { createInterface } from "node:readline";
import { createReadStream, readFileSync } from "node:fs";
import addFormats from "ajv-formats";
import Ajv from "ajv";
import Ajv2020 from "ajv/dist/2020.js";

const [draft, schemas, values] = process.argv.slice(2);
const logged = [];
const log = (...parts) => logged.push(parts.join(" "));
const ajv = new (draft === "2020-12" ? Ajv2020.default : Ajv.default)({
  strict: true,
  strictRequired: true,
  logger: { log, warn: log, error: log },
});
addFormats.default(ajv);
const validators = {};
for (const [name, schema] of Object.entries(JSON.parse(readFileSync(schemas, "utf8")))) {
  validators[name] = ajv.compile(schema);
}
const invalid = [];
let lines = 0;
for await (const line of createInterface({ input: createReadStream(values) })) {
  const { type, value } = JSON.parse(line);
  if (!validators[type](value)) invalid.push(lines);
  lines += 1;
}
process.stdout.write(JSON.stringify({ logged, lines, invalid }));
