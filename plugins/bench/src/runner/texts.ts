/** The texts of a runner's folder, and about it. */
import { formatBytes } from 'kdx/cli';
import type { RunnerFolder } from './export-runner.ts';

export function runnerText({ folder, files, bytes, models, combinations }: RunnerFolder): string {
  const counted = combinations === 1 ? '1 combination' : `${combinations} combinations`;
  return `${folder}: ${models.length} models, ${counted}, ${files} files, ${formatBytes(bytes)}
Copy it to the device and follow its README.txt; then
  kdx bench --import result.json --report bench.json --out DIR
`;
}

/** @param versions of onnxruntime-node and onnxruntime-web that kdx itself uses */
export function readmeText(versions: { readonly node: string; readonly web: string }): string {
  return `This folder measures how fast its models are on the machine that it is copied to. It needs Node 20 or newer, or a
browser, and sends nothing anywhere. Leave the machine alone while it measures.

In Node, on the processor (ONNX Runtime's native build):
  npm install onnxruntime-node@${versions.node} && node run.mjs

In Node, in WebAssembly (nothing to install for one thread; several need npm install onnxruntime-web@${versions.web}):
  node run.mjs --runtime web

In a browser, in WebAssembly or on WebGPU (on a phone: --host 0.0.0.0, and open the address of this machine):
  node serve.mjs

Any other web server will do, too. A browser gives several threads and a fine clock only with the headers that serve.mjs
sends and, like WebGPU, only on localhost or https: a phone that reads from http measures one thread with a coarse clock.

--label "my phone" names the device. Each way ends with a file, result.json; take it to where this folder came from:
  kdx bench --import result.json --report bench.json --out DIR
`;
}

export function noticeText(web: string): string {
  return `The folder web holds unchanged files of

onnxruntime-web ${web}
  Copyright (c) Microsoft Corporation. MIT license, https://github.com/microsoft/onnxruntime/blob/main/LICENSE
`;
}
