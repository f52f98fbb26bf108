// Reads Mermaid diagrams; a line of JSON each: {"type": …} or {"error": …}.
import { readFileSync } from 'node:fs';
import { register } from 'node:module';

register('./hooks.mjs', import.meta.url);
const { default: mermaid } = await import('mermaid');
for (const path of process.argv.slice(2)) {
  try {
    const { diagramType } = await mermaid.parse(readFileSync(path, 'utf8'));
    console.log(JSON.stringify({ type: diagramType }));
  } catch (error) {
    console.log(JSON.stringify({ error: error.message }));
  }
}
