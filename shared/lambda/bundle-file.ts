import { readFileSync } from 'node:fs';

/** A JSON file that was put beside the bundle, such as stage.json. Throws when it is missing or is not JSON. */
export function readBundleFile(name: string, bundleUrl: string): unknown {
  const text = readFileSync(new URL(name, bundleUrl), 'utf8');
  return JSON.parse(text);
}
