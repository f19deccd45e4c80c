"use strict";
(() => {
  const source = document.getElementById("map-data");
  if (!source) return;
  const about = JSON.parse(source.textContent);
  const tip = document.body.appendChild(document.createElement("div"));
  tip.id = "tip";
  tip.hidden = true;
  const picture = tip.appendChild(document.createElement("i"));
  const words = tip.appendChild(document.createElement("span"));
  picture.style.backgroundImage = `url(${about.sheet})`;
  picture.style.backgroundSize = `${64 * about.across}px ${64 * about.rows}px`;
  const maps = [...document.querySelectorAll(".map")];
  const points = maps.map((map) => [...map.querySelectorAll(".point")]);
  const places = points.map((all) => all.map((point) => {
    const box = point.getBBox();
    return [box.x + box.width / 2, box.y + box.height / 2];
  }));
  let lit = -1;

  const light = (index) => {
    if (index === lit) return;
    for (const all of points) {
      if (lit >= 0) all[lit].classList.remove("lit");
      if (index >= 0) all[index].classList.add("lit");
    }
    lit = index;
    tip.hidden = index < 0;
    if (index < 0) return;
    picture.style.backgroundPosition =
      `${-64 * (index % about.across)}px ${-64 * Math.floor(index / about.across)}px`;
    words.textContent = about.captions[index];
  };

  const nearest = (which, event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(maps[which].getScreenCTM().inverse());
    let best = -1, least = 18 ** 2;
    places[which].forEach(([x, y], index) => {
      const far = (x - at.x) ** 2 + (y - at.y) ** 2;
      if (far < least) [best, least] = [index, far];
    });
    return best;
  };

  maps.forEach((map, which) => {
    map.addEventListener("pointermove", (event) => {
      light(nearest(which, event));
      const left = Math.min(event.clientX + 14, document.documentElement.clientWidth - tip.offsetWidth - 8);
      const below = event.clientY + 14 + tip.offsetHeight < window.innerHeight;
      tip.style.left = `${left}px`;
      tip.style.top = `${below ? event.clientY + 14 : event.clientY - 14 - tip.offsetHeight}px`;
    });
    map.addEventListener("pointerleave", () => light(-1));
  });

  for (const item of document.querySelectorAll(".groups li")) {
    const focus = (on) => () => {
      for (const map of maps) {
        map.classList.toggle("focused", on);
        for (const mark of map.querySelectorAll(`[data-g="${item.dataset.g}"]`)) mark.classList.toggle("in", on);
      }
    };
    item.addEventListener("pointerenter", focus(true));
    item.addEventListener("pointerleave", focus(false));
    item.addEventListener("focus", focus(true));
    item.addEventListener("blur", focus(false));
  }
})();
