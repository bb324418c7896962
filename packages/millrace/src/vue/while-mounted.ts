import { ref, type WatchSource, watch, watchPostEffect } from "vue";

/**
 * Starts once the component is mounted, ends with the scope, and does both anew when one of the sources has changed; what
 * `start` reads beside them is not followed. Never on a server, where `watchPostEffect` does not run and a watcher that is
 * `immediate` would. Not `onMounted`: a scope of its own, such as a store's, may outlive the component that began it.
 */
export function whileMounted(sources: readonly WatchSource<unknown>[], start: () => (() => void) | undefined): void {
  // Not shallow: with a shallow one among its sources a watcher takes each touch of any for a change.
  const mounted = ref(false);
  watchPostEffect(() => {
    mounted.value = true;
  });
  watch(
    [mounted, ...sources],
    ([isMounted], _before, onCleanup) => {
      const end = isMounted ? start() : undefined;
      if (end) onCleanup(end);
    },
    { flush: "post" },
  );
}
