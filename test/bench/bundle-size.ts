import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { type BuiltBundle, buildAll } from './built-bundles.ts';
import { type Bench, round } from './report.ts';

/** Bytes of the bundles as they are deployed, against plain esbuild, the bare clients and the Powertools build. */
export const bundleSizeBench: Bench = async () => {
  const built = await buildAll();
  try {
    const bundles = [...built.functions, built.naive, built.clients, built.powertools];
    return {
      about: 'Minified bundles, without source maps. KiB as it lies there, and gzipped as it travels.',
      header: ['bundle', 'KiB', 'gzip KiB', 'of plain receive'],
      rows: bundles.map((bundle) => [
        bundle.name,
        round(bundle.bytes / 1_024),
        round(gzippedKib(bundle)),
        round(bundle.bytes / built.naive.bytes),
      ]),
    };
  } finally {
    built.remove();
  }
};

function gzippedKib({ file }: BuiltBundle): number {
  return gzipSync(readFileSync(file)).byteLength / 1_024;
}
