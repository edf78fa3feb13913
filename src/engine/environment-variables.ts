/** Environment variables of this process, set for a while. */

/** Native code sees them too, when this is called in the main thread. The result puts back what was there. */
export function setVariables(variables: Readonly<Record<string, string>>): () => void {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, variables);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}

/** What `work` gives while they are set. */
export function withVariables<R>(variables: Readonly<Record<string, string>>, work: () => R): R {
  const restore = setVariables(variables);
  try {
    return work();
  } finally {
    restore();
  }
}
