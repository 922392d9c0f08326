// Paints one plane of a volume on a canvas: no WebGL, which many hospital desktops do not have.
import type { Plane } from "./planes";
import type { Volume } from "./volume";

export interface Window {
  level: number; // HU
  width: number; // HU
}

export interface Placement {
  scaleX: number; // screen pixels a voxel
  scaleY: number;
  left: number;
  top: number;
  width: number; // of the picture on the screen
  height: number;
}

const LEVELS = 65536;

export class PlanePainter {
  private readonly context: CanvasRenderingContext2D;
  private readonly buffer = document.createElement("canvas");
  private pixels: ImageData | null = null;

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.context = canvas.getContext("2d", { alpha: false })!;
  }

  // Paint the plane at an index and return where it lies on the canvas.
  paint(volume: Volume, plane: Plane, index: number, table: Uint8Array): Placement {
    const shape = volume.grid.shape_zyx;
    const columns = shape[plane.horizontal];
    const rows = shape[plane.vertical];
    if (this.pixels === null || this.pixels.width !== columns || this.pixels.height !== rows) {
      this.buffer.width = columns;
      this.buffer.height = rows;
      this.pixels = new ImageData(columns, rows);
    }
    fill(new Uint32Array(this.pixels.data.buffer), volume, plane, index, table);
    this.buffer.getContext("2d")!.putImageData(this.pixels, 0, 0);
    const placement = placementOf(volume, plane, this.canvas.width, this.canvas.height);
    this.context.fillStyle = "#000";
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.context.save();
    toScreen(this.context, plane, placement, columns, rows);
    this.context.imageSmoothingEnabled = placement.scaleX < 4;
    this.context.drawImage(this.buffer, 0, 0);
    this.context.restore();
    return placement;
  }
}

// Turn index coordinates (voxel 0 covers 0..1) into those of the screen, with the plane's flips.
export function toScreen(
  context: CanvasRenderingContext2D,
  plane: Plane,
  placement: Placement,
  columns: number,
  rows: number,
): void {
  context.translate(placement.left, placement.top);
  context.scale(placement.scaleX, placement.scaleY);
  if (plane.flipsHorizontal) {
    context.translate(columns, 0);
    context.scale(-1, 1);
  }
  if (plane.flipsVertical) {
    context.translate(0, rows);
    context.scale(1, -1);
  }
}

export function placementOf(volume: Volume, plane: Plane, width: number, height: number): Placement {
  const { shape_zyx, spacing_zyx_mm } = volume.grid;
  const wide = shape_zyx[plane.horizontal] * spacing_zyx_mm[plane.horizontal];
  const high = shape_zyx[plane.vertical] * spacing_zyx_mm[plane.vertical];
  const scale = Math.min(width / wide, height / high); // screen pixels a millimetre
  return {
    scaleX: scale * spacing_zyx_mm[plane.horizontal],
    scaleY: scale * spacing_zyx_mm[plane.vertical],
    left: (width - wide * scale) / 2,
    top: (height - high * scale) / 2,
    width: wide * scale,
    height: high * scale,
  };
}

// The grey of every stored value, for one window.
export function greyTable({ level, width }: Window): Uint8Array {
  const table = new Uint8Array(LEVELS);
  const lowest = level - width / 2;
  for (let value = -32768; value < 32768; value++) {
    const share = (value - lowest) / width;
    table[value & 0xffff] = share <= 0 ? 0 : share >= 1 ? 255 : Math.round(share * 255);
  }
  return table;
}

function fill(pixels: Uint32Array, volume: Volume, plane: Plane, index: number, table: Uint8Array): void {
  const [, ny, nx] = volume.grid.shape_zyx;
  const strides = [ny * nx, nx, 1];
  const [step, stride] = [strides[plane.horizontal]!, strides[plane.vertical]!];
  const columns = volume.grid.shape_zyx[plane.horizontal];
  const rows = volume.grid.shape_zyx[plane.vertical];
  const voxels = volume.voxels;
  let place = 0;
  let row = index * strides[plane.across]!;
  for (let j = 0; j < rows; j++, row += stride) {
    let voxel = row;
    for (let i = 0; i < columns; i++, voxel += step) {
      const grey = table[voxels[voxel]! & 0xffff]!;
      pixels[place++] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
    }
  }
}
