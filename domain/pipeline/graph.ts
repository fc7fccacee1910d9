/** Directed graphs of named nodes. */

/**
 * The shortest way to say why there is no order: the nodes of one cycle, first and last the same; undefined when the
 * graph has none. `needs` maps a node to those it needs.
 */
export function findCycle(needs: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  for (const start of needs.keys()) {
    // Depth first with an explicit stack: a long chain must not exhaust the call stack.
    const path: string[] = [];
    const onPath = new Set<string>();
    const stack: { node: string; leaving: boolean }[] = [{ node: start, leaving: false }];
    for (let top = stack.pop(); top; top = stack.pop()) {
      const { node, leaving } = top;
      if (leaving) {
        path.pop();
        onPath.delete(node);
        done.add(node);
        continue;
      }
      if (onPath.has(node)) return [...path.slice(path.indexOf(node)), node];
      if (done.has(node)) continue;
      path.push(node);
      onPath.add(node);
      stack.push({ node, leaving: true });
      for (const next of needs.get(node) ?? []) stack.push({ node: next, leaving: false });
    }
  }
  return undefined;
}
