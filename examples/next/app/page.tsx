"use client";

import { type FormEvent, useEffect, useState } from "react";

interface Headline {
  readonly title: string;
  readonly by: string;
}

export default function Page() {
  const [headlines, setHeadlines] = useState<Headline[]>([]);
  const [count, setCount] = useState<number>();

  useEffect(() => {
    const feed = new EventSource("/events");
    feed.addEventListener("headline", (event) => setHeadlines((before) => [...before, JSON.parse(event.data)]));
    const countdown = new EventSource("/countdown/5");
    countdown.addEventListener("count", (event) => setCount(JSON.parse(event.data).n));
    return () => {
      feed.close();
      countdown.close();
    };
  }, []);

  async function publish(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    const body = JSON.stringify({ title: new FormData(form).get("title") });
    await fetch("/news", { method: "POST", headers: { "content-type": "application/json" }, body });
    form.reset();
  }

  return (
    <main>
      <form onSubmit={publish}>
        <input name="title" placeholder="What is new?" /> <button type="submit">Publish</button>
      </form>
      <p id="count">{count}</p>
      <ol>
        {headlines.map(({ title, by }, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: headlines are only added at the end
          <li key={at}>
            {title} ({by})
          </li>
        ))}
      </ol>
    </main>
  );
}
