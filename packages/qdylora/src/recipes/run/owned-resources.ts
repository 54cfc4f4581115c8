/** Disposes what was added, newest first. `DisposableStack` of Node 24 does the same. */
export interface OwnedResources {
  add<Resource extends Disposable>(resource: Resource): Resource;
  dispose(): void;
}

export function ownedResources(): OwnedResources {
  const resources: Disposable[] = [];
  return {
    add(resource) {
      resources.push(resource);
      return resource;
    },
    dispose() {
      for (const resource of resources.splice(0).reverse()) resource[Symbol.dispose]();
    },
  };
}
