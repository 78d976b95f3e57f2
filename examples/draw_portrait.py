"""Draws portrait.png, the example picture for `castline run --image`: a person who does not exist.

Flat shapes, Pillow only: `python examples/draw_portrait.py` writes the file beside this one.
"""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT = 640, 800
SCALE = 3  # drawn larger and shrunk, which smooths every edge

SKIN, BLUSH, SHADE = "#E9B48E", "#E58F74", "#D2976F"
HAIR, HAIR_LIGHT = "#3B2A2F", "#57404A"
COAT, COAT_DARK, SCARF, SCARF_DARK = "#2F6F73", "#245659", "#E6A935", "#C98A1F"
INK, PAPER = "#33262A", "#FFF8EE"

Point = tuple[float, float]


class Canvas:
    """Draws in picture coordinates on an image that is SCALE times larger."""

    def __init__(self) -> None:
        self.image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), "#F3DDBF")
        self.draw = ImageDraw.Draw(self.image)

    def ellipse(self, centre: Point, radius: Point, colour: str) -> None:
        (x, y), (across, down) = centre, radius
        box = [x - across, y - down, x + across, y + down]
        self.draw.ellipse([side * SCALE for side in box], fill=colour)

    def blob(self, points: list[Point], colour: str) -> None:
        """Fill a closed curve through rounded corners (Chaikin, three rounds)."""
        for _ in range(3):
            points = rounded(points)
        self.polygon(points, colour)

    def polygon(self, points: list[Point], colour: str) -> None:
        self.draw.polygon([(x * SCALE, y * SCALE) for x, y in points], fill=colour)

    def arc(self, centre: Point, radius: Point, span: Point, colour: str, width: float) -> None:
        (x, y), (across, down) = centre, radius
        box = [x - across, y - down, x + across, y + down]
        sides = [side * SCALE for side in box]
        self.draw.arc(sides, span[0], span[1], fill=colour, width=round(width * SCALE))

    def box(self, corners: tuple[float, float, float, float], colour: str, radius: float) -> None:
        sides = [side * SCALE for side in corners]
        self.draw.rounded_rectangle(sides, radius=radius * SCALE, fill=colour)


def rounded(points: list[Point]) -> list[Point]:
    """Cut every corner of a closed polygon at a quarter and three quarters of its sides."""
    cut: list[Point] = []
    for (x, y), (to_x, to_y) in zip(points, points[1:] + points[:1], strict=True):
        cut.append((x * 0.75 + to_x * 0.25, y * 0.75 + to_y * 0.25))
        cut.append((x * 0.25 + to_x * 0.75, y * 0.25 + to_y * 0.75))
    return cut


def draw_room(canvas: Canvas) -> None:
    """A wall in evening light, a window with hills, shelves with books and a plant."""
    sky = Image.linear_gradient("L").resize((WIDTH * SCALE, HEIGHT * SCALE))
    warm = Image.new("RGB", canvas.image.size, "#E9C6A0")
    canvas.image.paste(warm, mask=sky)
    draw_window(canvas)
    draw_shelf(canvas)


def draw_window(canvas: Canvas) -> None:
    canvas.box((20, 70, 230, 400), PAPER, 14)
    canvas.box((34, 84, 216, 386), "#F7C98B", 6)
    canvas.ellipse((84, 176), (30, 30), "#FFEFC9")
    canvas.polygon([(34, 290), (90, 240), (216, 300), (216, 386), (34, 386)], "#C98B7A")
    canvas.polygon([(34, 335), (130, 300), (216, 340), (216, 386), (34, 386)], "#8F6B74")
    canvas.box((121, 84, 129, 386), PAPER, 0)
    canvas.box((34, 228, 216, 236), PAPER, 0)


def draw_shelf(canvas: Canvas) -> None:
    canvas.box((474, 300, 640, 314), "#9C6B4A", 3)
    spines = ["#B5523B", "#2F6F73", "#E6A935", "#6A5A7B", "#3F7F8C"]
    heights = [96, 84, 104, 76, 92]
    for place, (colour, height) in enumerate(zip(spines, heights, strict=True)):
        left = 490 + place * 17
        canvas.box((left, 300 - height, left + 14, 300), colour, 3)
    for lean, length in ((-26, 70), (-8, 92), (12, 84), (28, 60)):
        tip, middle = 612 + lean, 246 - length * 0.6
        leaf = [(612.0, 246.0), (tip - 9, middle), (tip, 246 - length), (tip + 9, middle)]
        canvas.blob(leaf, "#5E8C61")
    canvas.blob([(590, 240), (636, 240), (630, 304), (596, 304)], "#C66B4B")


def draw_body(canvas: Canvas) -> None:
    """Shoulders in a coat, the neck, and a scarf around it."""
    canvas.blob([(30, 1000), (80, 650), (215, 590), (425, 590), (560, 650), (610, 1000)], COAT)
    for x in (150, 490):
        canvas.blob([(x - 5, 1000), (x - 3, 690), (x + 3, 690), (x + 5, 1000)], COAT_DARK)
    canvas.blob([(258, 440), (382, 440), (384, 640), (256, 640)], SHADE)
    canvas.blob([(222, 560), (320, 622), (418, 560), (440, 618), (320, 690), (200, 618)], SCARF)
    canvas.blob([(344, 640), (404, 622), (424, 790), (352, 800)], SCARF_DARK)
    canvas.blob([(336, 636), (392, 626), (404, 776), (338, 786)], SCARF)


def draw_hair_behind(canvas: Canvas) -> None:
    canvas.blob(
        [
            *((168, 330), (190, 165), (320, 100), (450, 165), (472, 330)),
            *((488, 520), (440, 600), (320, 610), (200, 600), (152, 520)),
        ],
        HAIR,
    )


def draw_head(canvas: Canvas) -> None:
    """The face with its features, glasses, and the fringe in front."""
    canvas.ellipse((204, 372), (20, 30), SHADE)
    canvas.ellipse((436, 372), (20, 30), SHADE)
    canvas.blob(
        [
            *((204, 250), (320, 200), (436, 250), (440, 400)),
            *((412, 500), (352, 542), (288, 542), (228, 500), (200, 400)),
        ],
        SKIN,
    )
    canvas.ellipse((252, 428), (27, 18), BLUSH)
    canvas.ellipse((388, 428), (27, 18), BLUSH)
    draw_features(canvas)
    draw_glasses(canvas)
    canvas.blob(
        [
            *((186, 350), (184, 190), (320, 104), (458, 190), (454, 350)),
            *((434, 270), (384, 214), (300, 262), (222, 262)),
        ],
        HAIR,
    )
    canvas.blob([(306, 142), (380, 148), (428, 204), (374, 180)], HAIR_LIGHT)


def draw_features(canvas: Canvas) -> None:
    for x in (266, 374):
        canvas.ellipse((x, 370), (19, 15), PAPER)
        canvas.ellipse((x + 1, 370), (11, 12), "#5B3B2B")
        canvas.ellipse((x + 1, 370), (5.5, 6), INK)
        canvas.ellipse((x + 5, 365), (3, 3), PAPER)
    canvas.arc((266, 340), (32, 17), (205, 330), HAIR, 7)
    canvas.arc((374, 340), (32, 17), (210, 335), HAIR, 7)
    canvas.arc((320, 412), (17, 13), (25, 155), SHADE, 5)
    canvas.arc((320, 446), (46, 32), (22, 158), "#B4513F", 8)
    for x, y in ((296, 418), (286, 430), (344, 418), (356, 430), (304, 431)):
        canvas.ellipse((x, y), (2.2, 2.2), "#CB8862")


def draw_glasses(canvas: Canvas) -> None:
    for x in (266, 374):
        canvas.arc((x, 372), (45, 42), (0, 360), INK, 5)
    canvas.arc((320, 366), (12, 10), (190, 350), INK, 5)
    for start, end in (((221, 366), (198, 358)), ((419, 366), (442, 358))):
        line = [(x * SCALE, y * SCALE) for x, y in (start, end)]
        canvas.draw.line(line, fill=INK, width=5 * SCALE)


def portrait() -> Image.Image:
    """Return the finished portrait, 640x800 pixels."""
    canvas = Canvas()
    draw_room(canvas)
    canvas.image = canvas.image.filter(ImageFilter.GaussianBlur(3 * SCALE))
    canvas.draw = ImageDraw.Draw(canvas.image)
    draw_hair_behind(canvas)
    draw_body(canvas)
    draw_head(canvas)
    return canvas.image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    portrait().save(Path(__file__).with_name("portrait.png"), optimize=True)
