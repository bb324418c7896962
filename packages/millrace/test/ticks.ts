/** Events of about 115 bytes, such as a market has: the price changes, and the rest is nearly the same. */
export function* ticks(): Generator<Buffer> {
  const prices = new Map<string, number>();
  for (let n = 1; ; n++) {
    const symbol = ["AAPL", "MSFT", "NVDA", "TSLA", "AMZN", "META"][Math.floor(Math.random() * 6)] as string;
    const price = Math.round(((prices.get(symbol) ?? 200) + Math.random() - 0.5) * 100) / 100;
    prices.set(symbol, price);
    const data = JSON.stringify({
      symbol,
      price,
      size: Math.ceil(Math.random() * 900),
      at: 1_790_000_000_000 + n * 50,
    });
    yield Buffer.from(`id: 5hfk2mzq-${100_000 + n}\nevent: tick\nchannel: prices\ndata: ${data}\n\n`);
  }
}
