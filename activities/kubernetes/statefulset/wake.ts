/** Lets one side sleep until the other has news. */
export class Wake {
  #news = false;
  #resolve: (() => void) | undefined;

  now = (): void => {
    this.#news = true;
    this.#resolve?.();
  };

  async within(ms: number): Promise<void> {
    if (!this.#news) {
      const timer = setTimeout(this.now, ms);
      await new Promise<void>((resolve) => (this.#resolve = resolve));
      clearTimeout(timer);
    }
    this.#news = false;
    this.#resolve = undefined;
  }
}
