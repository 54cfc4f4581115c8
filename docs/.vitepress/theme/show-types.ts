/** Pixels between a name and its type, and between the type and the edge of the window. */
const GAP = 6;

/**
 * Shows the type of a name (type-hovers.ts) under the pointer or the focus. In a block of code that has the
 * focus, the right and the left arrow go from name to name, and Escape back to the block.
 */
export function showTypes(): void {
  let shown: HTMLElement | null = null;
  const show = (name: Element | null): void => {
    const type = name?.querySelector<HTMLElement>('.type-of') ?? null;
    if (type === shown || (type && !type.showPopover)) return;
    shown?.hidePopover();
    shown = type;
    type?.showPopover();
    place();
  };
  const place = (): void => {
    if (shown) placeBelow(shown, shown.parentElement!.getBoundingClientRect());
  };
  const showTarget = ({ target }: Event): void => show((target as Element).closest('.typed'));
  document.addEventListener('pointerover', showTarget);
  document.addEventListener('focusin', showTarget);
  document.addEventListener('scroll', place, { capture: true, passive: true });
  document.addEventListener('keydown', (event) => {
    if (!moveFocus(event)) return;
    event.preventDefault();
    show(document.activeElement!.closest('.typed'));
  });
}

/** False where the key is none of these, or leads to no name. */
function moveFocus({ key, target }: KeyboardEvent): boolean {
  const block = (target as Element).closest<HTMLElement>('pre.twoslash');
  const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
  if (!block || (step === undefined && key !== 'Escape')) return false;
  const names = [...block.querySelectorAll<HTMLElement>('.typed')];
  const place = names.indexOf(target as HTMLElement);
  const next = step === undefined ? block : names[place + step];
  next?.focus();
  return next !== undefined;
}

/** Below the name, or above it where the window ends. */
function placeBelow(type: HTMLElement, { left, top, bottom }: DOMRect): void {
  const { offsetWidth: width, offsetHeight: height } = type;
  const { clientWidth, clientHeight } = document.documentElement;
  const isBelow = bottom + GAP + height <= clientHeight || top < height + GAP;
  type.style.left = `${Math.max(GAP, Math.min(left, clientWidth - width - GAP))}px`;
  type.style.top = `${isBelow ? bottom + GAP : top - GAP - height}px`;
}
