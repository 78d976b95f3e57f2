"""How long something took, as a person reads it."""


def clock_text(seconds: float) -> str:
    """Write seconds as `7.4 s`, `3:07` (minutes) or `1:03:07` (hours); negative counts as 0."""
    tenths = round(max(0.0, seconds), 1)
    return f"{tenths:.1f} s" if tenths < 60 else timer_text(tenths)


def timer_text(seconds: float) -> str:
    """Write seconds as a running clock without fractions: `0:07`, `3:07` or `1:03:07`."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def about_text(seconds: float) -> str:
    """Write an estimate: `about 40 s`, `about 3 min`, `about 2.5 h`."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3600:.1f} h"
