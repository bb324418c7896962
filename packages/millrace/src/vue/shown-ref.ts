import { onScopeDispose, type ShallowRef, shallowRef } from "vue";

interface Shown<T> {
  readonly value: () => T;
  readonly watch: (changed: () => void) => () => void;
}

/** Follows the value until the scope ends. Shallow: a deep one would make proxies of every event. */
export function shownRef<T>(shown: Shown<T>): Readonly<ShallowRef<T>> {
  const ref = shallowRef(shown.value());
  onScopeDispose(
    shown.watch(() => {
      ref.value = shown.value();
    }),
  );
  return ref;
}
