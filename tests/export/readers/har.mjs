// Validates HTTP archives; a line of JSON each: a list of what is wrong.
import { readFileSync } from 'node:fs';
import validator from 'har-validator';

for (const path of process.argv.slice(2)) {
  try {
    await validator.har(JSON.parse(readFileSync(path, 'utf8')));
    console.log('[]');
  } catch (error) {
    console.log(JSON.stringify((error.errors ?? [error]).map((one) => `${one.dataPath ?? ''} ${one.message}`)));
  }
}
