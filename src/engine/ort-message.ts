/** What ONNX Runtime says in an error, without where in its sources it came to say it. */

/** Of the CUDA provider: the library and its code; of an arena: how much there was not. */
const facts = [
  /\b(CUDA|CUDNN|CUBLAS|CUBLASLT|CURAND) failure \d+: [^;\n]*[^;\s]/,
  /Failed to allocate memory for requested buffer of size \d+/,
  /cuDNN is unavailable[^.\n]*/,
];
const preamble = /^.*( was false\. |\[ONNXRuntimeError\] : \d+ : \w+ : )/s;

/** One line. */
export function ortMessage(message: string): string {
  const fact = facts.map((pattern) => pattern.exec(message)?.[0]).find((found) => found !== undefined);
  return fact ?? message.trim().replace(preamble, '').split('\n')[0]?.trim() ?? '';
}
