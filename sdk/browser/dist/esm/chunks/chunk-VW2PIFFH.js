var n=t=>t.split(/[?#]/)[0];function e(t){let r=performance.getEntriesByName(t,"resource").pop();return r?{duration_ms:Math.round(r.duration)}:{}}export{n as a,e as b};
