"""The model client in ordinary code: a prompt, a conversation, a stream, a batch.

castline simulate --port 8765 &
export CASTLINE_LLM_BASE_URL=http://127.0.0.1:8765/v1 CASTLINE_LLM_MODEL=any
python examples/client_sync.py
"""

from tasks.errors import CastlineError
from tasks.llm.client import LLMClient

CONVERSATION = [
    {"role": "system", "content": "You keep a lighthouse. Be brief."},
    {"role": "user", "content": "What did the sea do last night?"},
]


def main() -> None:
    """Ask in each way."""
    with LLMClient() as client:
        print("chat:  ", client.chat("Name a colour of the sea.", max_tokens=40))
        print("talk:  ", client.chat_with_context(CONVERSATION, max_tokens=60))

        print("stream: ", end="")
        for piece in client.stream("Tell me about the storm.", max_tokens=60):
            print(piece, end="", flush=True)
        print()

        prompts = (f"Describe wave number {number}." for number in range(1, 11))
        for answer in client.batch(prompts, max_in_flight=5, max_tokens=40):
            print("failed:" if isinstance(answer, CastlineError) else "batch: ", answer)

        status = client.status()
        print(f"{status['requests']} requests on {status['connections_opened']} connections")


if __name__ == "__main__":
    main()
