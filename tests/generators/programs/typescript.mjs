// Generates TypeScript: `node typescript.mjs SCHEMAS FOLDER` writes the types of each schema into a module of FOLDER.
import { readFileSync, writeFileSync } from "node:fs";
import { compile } from "json-schema-to-typescript";

const [schemas, folder] = process.argv.slice(2);
for (const [name, schema] of Object.entries(JSON.parse(readFileSync(schemas, "utf8")))) {
  writeFileSync(`${folder}/${name}.ts`, await compile(schema, name));
}
