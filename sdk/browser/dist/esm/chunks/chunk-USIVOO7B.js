var u={};function e(n){return(...t)=>{try{return n(...t)}catch(r){u.show?.(r);return}}}export{u as a,e as b};
