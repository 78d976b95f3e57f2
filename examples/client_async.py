"""The model client in asynchronous code: at once, with limits and timeouts, and small questions.

castline simulate --port 8765 &
export CASTLINE_LLM_BASE_URL=http://127.0.0.1:8765/v1 CASTLINE_LLM_MODEL=any
python examples/client_async.py
"""

import asyncio

from tasks.llm.async_tools import AsyncBatchProcessor, AsyncHelper
from tasks.llm.client import LLMClient


async def main() -> None:
    """Ask in each way."""
    async with LLMClient() as client:
        prompts = [f"Describe wave number {number}." for number in range(1, 6)]

        answers = await asyncio.gather(*(client.chat_async(prompt) for prompt in prompts))
        print("gather:", len(answers), "answers")

        coroutines = [client.chat_async(prompt) for prompt in prompts]
        print("limit: ", len(await AsyncHelper.gather_with_limit(coroutines, limit=3)), "answers")

        try:
            answer = await AsyncHelper.run_with_timeout(client.chat_async("Hello"), timeout=5.0)
            print("timeout:", answer)
        except TimeoutError:
            print("timeout: it took too long")

        processor = AsyncBatchProcessor(client.chat_async, batch_size=10, max_workers=5)
        print("processor:", len(await processor.process_batch(prompts)), "answers")

        async for piece in client.stream_async("Tell me about the storm.", max_tokens=40):
            print(piece, end="", flush=True)
        print()

        before = client.status()["requests"]
        questions = [f"Is {number} even?" for number in range(20)]
        await asyncio.gather(*(client.ask_small_async(question) for question in questions))
        calls = client.status()["requests"] - before
        print(f"small: {len(questions)} questions in {calls} call" + "s" * (calls != 1))


if __name__ == "__main__":
    asyncio.run(main())
